"""Embed the voices of windows; the expensive part of the model runs once a window.

An embedding model is a trunk that turns audio into frames, and a head that averages the
frames of one speaker into a vector. pyannote's pipeline runs both for each local speaker
of a window; the trunk does not depend on the speaker, so here all speakers share it. Its
numbers are pyannote's up to rounding, in float32. A model whose parts are not known here
runs as in pyannote's pipeline.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_worker.diarization.campplus import CamPlusPlus
from gpu_worker.diarization.pyannote_audio import (
    BaseWeSpeakerResNet,
    PyannoteAudioPretrainedSpeakerEmbedding,
    XVectorMFCC,
    XVectorSincNet,
)

# waveforms (windows, 1, samples), masks (windows, speakers, frames) to (windows, speakers, dim)
SharedTrunk = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class SpeakerEmbedder:
    """Applies a pyannote embedding to windows in which several people speak."""

    def __init__(self, embedding: Any) -> None:
        """Take an embedding that pyannote's `PretrainedSpeakerEmbedding` has made."""
        self._embedding = embedding
        is_pyannote = isinstance(embedding, PyannoteAudioPretrainedSpeakerEmbedding)
        self._trunk = shared_trunk(embedding.model_) if is_pyannote else None
        self._silent: dict[tuple[int, int], NDArray[np.float32]] = {}

    def embed(self, waveforms: torch.Tensor, masks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the vectors of some windows' speakers, shape (windows, speakers, dimension).

        `waveforms` has shape (windows, samples), on any device, and `masks` (windows, frames,
        speakers). For a speaker who is never active it is the vector that pyannote's call gives
        for an empty mask, and a window of only such speakers is not computed. Raises RuntimeError,
        as torch.
        """
        by_speaker = np.ascontiguousarray(masks.transpose(0, 2, 1), dtype=np.float32)
        if self._trunk is None:
            return self._one_by_one(waveforms, by_speaker)
        heard = np.flatnonzero(by_speaker.any(axis=(1, 2)))
        silent = self.silent(waveforms.shape[1], masks.shape[1])
        vectors = np.tile(silent, (len(masks), masks.shape[2], 1))
        if len(heard):
            vectors[heard] = self._run(self._trunk, waveforms[heard.tolist()], by_speaker[heard])
        return vectors

    def silent(self, samples: int, frames: int) -> NDArray[np.float32]:
        """Return the vector that stands for a speaker who says nothing, shape (dimension,)."""
        if (samples, frames) not in self._silent:
            nothing = torch.zeros(1, samples), np.zeros((1, 1, frames), np.float32)
            vectors = (
                self._run(self._trunk, *nothing) if self._trunk else self._one_by_one(*nothing)
            )
            self._silent[samples, frames] = vectors[0, 0]
        return self._silent[samples, frames]

    def least_frames(self, frames: int, samples: int) -> int:
        """Return how many frames a speaker must have alone to be embedded from only those.

        `frames` and `samples` are the window's (`SpeakerDiarization.get_embeddings`).
        """
        return math.ceil(frames * int(self._embedding.min_num_samples) / samples)

    def _run(
        self, trunk: SharedTrunk, waveforms: torch.Tensor, masks: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        device = self._embedding.device
        with torch.inference_mode():
            vectors = trunk(
                waveforms.unsqueeze(1).to(device),
                torch.from_numpy(masks).to(device),
            )
        return np.asarray(vectors.cpu().numpy(), dtype=np.float32)

    def _one_by_one(
        self, waveforms: torch.Tensor, masks: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        windows, speakers, frames = masks.shape
        vectors = self._embedding(
            waveforms.unsqueeze(1).repeat_interleave(speakers, dim=0),
            masks=torch.from_numpy(masks.reshape(windows * speakers, frames)),
        )
        return np.asarray(vectors, dtype=np.float32).reshape(windows, speakers, -1)


def shared_trunk(model: Any) -> SharedTrunk | None:
    """Return a function that runs a model's trunk once for all speakers, or None.

    None means that the parts of this kind of model are not known.
    """
    if isinstance(model, BaseWeSpeakerResNet | CamPlusPlus):
        return lambda waveforms, masks: model.forward_embedding(
            model.forward_frames(waveforms), weights=masks
        )
    if isinstance(model, XVectorMFCC | XVectorSincNet):
        first = model.mfcc if isinstance(model, XVectorMFCC) else model.sincnet
        return lambda waveforms, masks: _xvector(model, first, waveforms, masks)
    return None


def _xvector(
    model: Any, first: torch.nn.Module, waveforms: torch.Tensor, masks: torch.Tensor
) -> torch.Tensor:
    frames = first(waveforms).squeeze(dim=1)
    for layer in model.tdnns:
        frames = layer(frames)
    vectors: torch.Tensor = model.embedding(model.stats_pool(frames, weights=masks))
    return vectors


def speaker_masks(
    active: NDArray[np.bool_], exclude_overlap: bool, least_frames: int
) -> NDArray[np.float32]:
    """Return the frames that each speaker is embedded from, shape (windows, frames, speakers).

    They are all active frames; with `exclude_overlap` those in which no other speaker is
    active, if they are more than `least_frames`, as in `SpeakerDiarization.get_embeddings`.
    """
    if not exclude_overlap:
        return active.astype(np.float32)
    alone = active & (active.sum(axis=2, keepdims=True) < 2)
    enough = alone.sum(axis=1, keepdims=True) > least_frames
    return np.where(enough, alone, active).astype(np.float32)

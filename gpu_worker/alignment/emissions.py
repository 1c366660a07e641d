"""wav2vec2 models with a CTC head: turn audio into log probabilities of symbols (emissions).

whisperX runs each window alone, and the emissions here are the same, but in batches: the
convolutions, some of which normalise over the whole window, run window by window; the
transformer behind them, which does not look past a mask, runs the batch at once.

On a GPU products of matrices are computed in half precision, and sums and normalisations not
(torch's autocast). Of 3,944 starts and ends of words six moved by it, by 60 ms at most
(`benchmarks/words/alignment_batches.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_worker.alignment import AlignerRequest
from gpu_worker.alignment.bundles import fetch_bundle, find_bundle
from gpu_worker.alignment.models import fetch_align_model, is_bundle
from gpu_worker.audio.samples import Audio
from gpu_worker.devices.torch_devices import pick_device, translating_torch_errors
from gpu_worker.errors import UnknownModel

LEAST_RATIO = 0.75  # of a batch's longest window, for one to be padded to its length
_NOTHING: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
SHORTEST_SAMPLES = 400  # one frame of wav2vec2's convolutions; shorter windows are padded


class Network(Protocol):
    """A model in two halves: convolutions for one window, a transformer for a batch."""

    vocabulary: Mapping[str, int]  # symbol -> column

    def hear(self, audio: torch.Tensor) -> torch.Tensor:
        """Turn one window's samples, shape (1, samples), into features (1, frames, width)."""

    def judge(self, features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Turn a batch's padded features into logits, shape (windows, frames, columns).

        `frames` holds each window's own number of frames, shape (windows,).
        """


class EmissionModel:
    """One align model in memory."""

    def __init__(self, network: Network, device: str, compute_type: str = "float32") -> None:
        """`compute_type` is a name of torch's that `AlignerRequest` may have, but not `auto`."""
        self.device = device
        self._half = None if compute_type == "float32" else getattr(torch, compute_type)
        self.vocabulary = dict(network.vocabulary)
        self._network = network

    def emissions(self, windows: Sequence[Audio]) -> list[NDArray[np.float32]]:
        """Return the log probabilities of each window, shape (frames, columns), as one batch.

        Windows of about one length run at once. Raises MemoryError, DevicePoisoned.
        """
        found: list[NDArray[np.float32]] = [_NOTHING] * len(windows)
        for group in alike_in_length([len(window) for window in windows]):
            heard = translating_torch_errors(partial(self._run, [windows[i] for i in group]))
            for index, emission in zip(group, heard, strict=True):
                found[index] = emission
        return found

    def _run(self, windows: Sequence[Audio]) -> list[NDArray[np.float32]]:
        if self._half is not None:
            with torch.autocast(torch.device(self.device).type, self._half):
                found = self._compute(windows)
            if all(np.isfinite(emission).all() for emission in found):
                return found
            self._half = None  # the model's numbers are too large for it
        return self._compute(windows)

    @torch.inference_mode()
    def _compute(self, windows: Sequence[Audio]) -> list[NDArray[np.float32]]:
        features = [self._network.hear(self._samples(audio))[0] for audio in windows]
        frames = torch.tensor([len(row) for row in features], device=self.device)
        padded = torch.nn.utils.rnn.pad_sequence(features, batch_first=True)
        logits = self._network.judge(padded, frames).float()
        found = torch.log_softmax(logits, dim=-1).cpu().numpy()
        return [row[: len(own)] for row, own in zip(found, features, strict=True)]

    def _samples(self, audio: Audio) -> torch.Tensor:
        missing = max(0, SHORTEST_SAMPLES - len(audio))
        samples = np.pad(np.asarray(audio, dtype=np.float32), (0, missing))
        return torch.from_numpy(samples)[None].to(self.device)


def alike_in_length(lengths: Sequence[int]) -> list[list[int]]:
    """Return the indices of all lengths in groups, none of them much shorter than its longest.

    The transformer computes all windows of a batch as if they were as long as the longest.
    """
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if groups and lengths[index] >= LEAST_RATIO * lengths[groups[-1][0]]:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def load_emission_model(request: AlignerRequest) -> EmissionModel:
    """Load a model by name. Raises UnknownModel, ModelUnavailable, InvalidOption, MemoryError."""
    device = pick_device(request.device)
    if request.threads > 0:
        torch.set_num_threads(request.threads)
    load: Callable[[AlignerRequest], _Bundle | _HubModel] = (
        _load_bundle if is_bundle(request.model) else _load_hub_model
    )
    network = load(request)
    translating_torch_errors(lambda: network.model.to(device))
    return EmissionModel(network, device, _compute_type(request.compute_type, device))


def _compute_type(wanted: str, device: str) -> str:
    if wanted != "auto":
        return wanted
    return "float16" if device.startswith("cuda") else "float32"


class _HubModel:
    """A Wav2Vec2ForCTC of transformers."""

    def __init__(self, model: Any, vocabulary: Mapping[str, int]) -> None:
        self.model = model
        self.vocabulary = vocabulary

    def hear(self, audio: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.model.wav2vec2.feature_extractor(audio)
        return features.transpose(1, 2)

    def judge(self, features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        base = self.model.wav2vec2
        hidden, _ = base.feature_projection(features)
        heard = base.encoder(hidden, attention_mask=_mask(frames, features.shape[1]))[0]
        logits: torch.Tensor = self.model.lm_head(heard)
        return logits


class _Bundle:
    """A Wav2Vec2ASRBundle of torchaudio."""

    def __init__(self, model: Any, labels: Sequence[str]) -> None:
        self.model = model
        # Some bundles wrap the model that has the parts, to normalise its input first.
        self._normalised: bool = getattr(model, "normalize_waveform", False)
        self._parts = getattr(model, "model", model)
        columns: int = self._parts.aux.out_features  # MMS_FA has a label more, for a wildcard
        self.vocabulary: Mapping[str, int] = {
            label: column for column, label in enumerate(labels[:columns])
        }

    def hear(self, audio: torch.Tensor) -> torch.Tensor:
        if self._normalised:
            audio = torch.nn.functional.layer_norm(audio, audio.shape)
        features: torch.Tensor = self._parts.feature_extractor(audio, None)[0]
        return features

    def judge(self, features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        padded = _mask(frames, features.shape[1]) is not None
        heard = self._parts.encoder(features, frames if padded else None)
        logits: torch.Tensor = self._parts.aux(heard)
        return logits


def _mask(frames: torch.Tensor, longest: int) -> torch.Tensor | None:
    """Return True where a window has frames of its own, or None if no window is padded.

    `frames` has each window's number of frames; the mask has shape (windows, longest).
    """
    mask = torch.arange(longest, device=frames.device) < frames[:, None]
    return None if bool(mask.all()) else mask


def _load_hub_model(request: AlignerRequest) -> _HubModel:
    directory = fetch_align_model(request.model, request.model_dir, request.hub_token)
    from transformers import Wav2Vec2ForCTC, Wav2Vec2Processor

    try:
        model = Wav2Vec2ForCTC.from_pretrained(directory, local_files_only=True)
        load_processor: Any = Wav2Vec2Processor.from_pretrained  # untyped
        processor = load_processor(directory, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UnknownModel(
            f"{request.model!r} is not a wav2vec2 model with a CTC head: {error}."
        ) from error
    return _HubModel(model, processor.tokenizer.get_vocab())


def _load_bundle(request: AlignerRequest) -> _Bundle:
    bundle = find_bundle(request.model)
    directory = fetch_bundle(request.model, request.model_dir)
    return _Bundle(bundle.get_model(dl_kwargs={"model_dir": directory}), bundle.get_labels())

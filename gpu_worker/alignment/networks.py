"""wav2vec2 models with a CTC head in two halves: convolutions, and a transformer behind them.

Of the convolutions only the first may normalise over the whole window (`group` in transformers'
configuration, `group_norm` in torchaudio's); the others look at no more frames than their kernels
are wide, and none of them pads its input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch

from gpu_worker.alignment import AlignerRequest
from gpu_worker.alignment.bundles import fetch_bundle, find_bundle
from gpu_worker.alignment.models import fetch_align_model, is_bundle
from gpu_worker.errors import UnknownModel


@dataclass(frozen=True, slots=True)
class Convolution:
    """One layer with its norm; it takes and gives tensors of shape (windows, width, steps)."""

    run: Callable[[torch.Tensor], torch.Tensor]
    kernel: int
    stride: int

    def steps(self, steps: int) -> int:
        """Return how many steps come out of so many; at least one if they fill the kernel."""
        return (steps - self.kernel) // self.stride + 1


class Network(Protocol):
    """An align model in two halves."""

    vocabulary: Mapping[str, int]  # symbol -> column
    convolutions: Sequence[Convolution]  # the first one takes samples, of width 1

    def scale(self, audio: torch.Tensor) -> torch.Tensor:
        """Bring one window's samples, shape (samples,), to the level that the model wants."""

    def judge(self, features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Turn a batch's padded features into logits, shape (windows, frames, columns).

        `features` has shape (windows, frames, width), and `frames` each window's own number of
        them, shape (windows,).
        """


class HubModel:
    """A Wav2Vec2ForCTC of transformers."""

    def __init__(self, model: Any, vocabulary: Mapping[str, int]) -> None:
        self.model = model
        self.vocabulary = vocabulary
        self.convolutions: Sequence[Convolution] = [
            Convolution(layer, layer.conv.kernel_size[0], layer.conv.stride[0])
            for layer in model.wav2vec2.feature_extractor.conv_layers
        ]

    def scale(self, audio: torch.Tensor) -> torch.Tensor:
        return audio

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
        self.convolutions: Sequence[Convolution] = [
            Convolution(partial(_convolved, layer), layer.kernel_size, layer.stride)
            for layer in self._parts.feature_extractor.conv_layers
        ]

    def scale(self, audio: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.layer_norm(audio, audio.shape) if self._normalised else audio

    def judge(self, features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        padded = _mask(frames, features.shape[1]) is not None
        heard = self._parts.encoder(features, frames if padded else None)
        logits: torch.Tensor = self._parts.aux(heard)
        return logits


def _convolved(layer: Any, steps: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = layer(steps, None)[0]  # it returns lengths too, here none
    return found


def _mask(frames: torch.Tensor, longest: int) -> torch.Tensor | None:
    """Return True where a window has frames of its own, or None if no window is padded.

    `frames` has each window's number of frames; the mask has shape (windows, longest).
    """
    mask = torch.arange(longest, device=frames.device) < frames[:, None]
    return None if bool(mask.all()) else mask


def _load_hub_model(request: AlignerRequest) -> HubModel:
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
    return HubModel(model, processor.tokenizer.get_vocab())


def _load_bundle(request: AlignerRequest) -> _Bundle:
    bundle = find_bundle(request.model)
    directory = fetch_bundle(request.model, request.model_dir)
    return _Bundle(bundle.get_model(dl_kwargs={"model_dir": directory}), bundle.get_labels())


def load_network(request: AlignerRequest) -> HubModel | _Bundle:
    """Load a model in memory. Raises UnknownModel, ModelUnavailable."""
    return _load_bundle(request) if is_bundle(request.model) else _load_hub_model(request)

"""Turn audio into log probabilities of symbols (emissions), by wav2vec2 models with a CTC head.

whisperX runs each window alone, and the emissions here are the same, but in batches: the first
convolution, which may normalise over the whole window, runs window by window; on a GPU the
others run several short windows at once, padded behind their ends, where no frame of
their own looks; the transformer, which does not look past a mask, runs the batch at once.

On a GPU products of matrices are computed in half precision, and sums and normalisations not
(torch's autocast). Of 3,944 starts and ends of words six moved by it, by 60 ms at most
(`benchmarks/words/alignment_batches.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from gpu_worker.alignment import AlignerRequest
from gpu_worker.alignment.networks import Network, load_network
from gpu_worker.audio.samples import Audio
from gpu_worker.devices.torch_devices import pick_device, translating_torch_errors
from gpu_worker.pcm import SAMPLE_RATE

LEAST_RATIO = 0.75  # of a batch's longest window, for one to be padded to its length
SHORTEST_SAMPLES = 400  # one frame of wav2vec2's convolutions; shorter windows are padded
# Audio that goes through the convolutions at once on a GPU, so that short windows keep it busy and
# no more memory is needed than for one of Whisper's windows. On a CPU it is slower.
GPU_CONVOLVED_SECONDS, CPU_CONVOLVED_SECONDS = 30.0, 0.0


class EmissionModel:
    """One align model in memory."""

    def __init__(
        self,
        network: Network,
        device: str,
        compute_type: str = "float32",
        convolved_seconds: float | None = None,
    ) -> None:
        """`compute_type` is a name of torch's that `AlignerRequest` may have, but not `auto`.

        Windows of at most `convolved_seconds` together go through the convolutions at once; None:
        as many as suits the device.
        """
        self.device = device
        self._half = None if compute_type == "float32" else getattr(torch, compute_type)
        self.vocabulary = dict(network.vocabulary)
        self._network = network
        if convolved_seconds is None:
            convolved_seconds = CPU_CONVOLVED_SECONDS if device == "cpu" else GPU_CONVOLVED_SECONDS
        self._convolved_samples = int(convolved_seconds * SAMPLE_RATE)

    def emissions(self, windows: Sequence[Audio]) -> list[NDArray[np.float32]]:
        """Return the log probabilities of each window, shape (frames, columns), as one batch.

        Windows of about one length run at once. Raises MemoryError, DevicePoisoned.
        """
        found = self.on_device(windows)
        return translating_torch_errors(lambda: [emission.cpu().numpy() for emission in found])

    def on_device(self, windows: Sequence[Audio]) -> list[torch.Tensor]:
        """Return what `emissions` does, but leave it on the device. Raises as `emissions`."""
        found: dict[int, torch.Tensor] = {}
        for group in alike_in_length([len(window) for window in windows]):
            heard = translating_torch_errors(partial(self._run, [windows[i] for i in group]))
            found |= zip(group, heard, strict=True)
        return [found[index] for index in range(len(windows))]

    def _run(self, windows: Sequence[Audio]) -> list[torch.Tensor]:
        if self._half is not None:
            with torch.autocast(torch.device(self.device).type, self._half):
                found = self._compute(windows)
            if bool(torch.stack([emission.isfinite().all() for emission in found]).all()):
                return found
            self._half = None  # the model's numbers are too large for it
        return self._compute(windows)

    @torch.inference_mode()
    def _compute(self, windows: Sequence[Audio]) -> list[torch.Tensor]:
        features = [
            found
            for run in self._runs(windows)
            for found in self._convolve([self._samples(audio) for audio in run])
        ]
        frames = torch.tensor([len(row) for row in features], device=self.device)
        logits = self._network.judge(pad_sequence(features, batch_first=True), frames).float()
        found = torch.log_softmax(logits, dim=-1)
        return [row[: len(own)] for row, own in zip(found, features, strict=True)]

    def _runs(self, windows: Sequence[Audio]) -> Iterator[Sequence[Audio]]:
        """Yield windows that go through the convolutions at once; the first is the longest."""
        longest = max(len(window) for window in windows)
        count = max(1, self._convolved_samples // max(1, longest))
        return (windows[first : first + count] for first in range(0, len(windows), count))

    def _convolve(self, windows: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return each window's features, shape (frames, width)."""
        first, *others = self._network.convolutions
        heard = [first.run(self._network.scale(window)[None, None]) for window in windows]
        lengths = [found.shape[2] for found in heard]
        batch = heard[0]
        if len(heard) > 1:
            batch = torch.cat([pad(row, (0, max(lengths) - row.shape[2])) for row in heard])
        for layer in others:
            batch = layer.run(batch)
            lengths = [layer.steps(length) for length in lengths]
        return [row[:, :length].T for row, length in zip(batch, lengths, strict=True)]

    def _samples(self, audio: Audio) -> torch.Tensor:
        missing = max(0, SHORTEST_SAMPLES - len(audio))
        samples = np.pad(np.asarray(audio, dtype=np.float32), (0, missing))
        return torch.from_numpy(samples).to(self.device)


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
    network = load_network(request)
    translating_torch_errors(lambda: network.model.to(device))
    return EmissionModel(network, device, _compute_type(request.compute_type, device))


def _compute_type(wanted: str, device: str) -> str:
    if wanted != "auto":
        return wanted
    return "float16" if device.startswith("cuda") else "float32"

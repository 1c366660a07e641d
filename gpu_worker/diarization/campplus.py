"""CAM++, the embedding model of `offline`: it turns a recording of one voice into a vector.

Written from the paper: H. Wang, S. Zheng, Y. Chen, L. Cheng and Q. Chen, "CAM++: A Fast and
Efficient Network for Speaker Verification Using Context-Aware Masking", Interspeech 2023,
arXiv:2303.00332. The names of parts and their sizes are those of the published weights (200,000
speakers, Chinese and English, Apache-2.0), which are loaded strictly: any other part would raise.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torchaudio.compliance import kaldi

from gpu_worker.diarization.pyannote_audio import Model, StatsPool

MEL_BANDS = 80
_MAPS = 32  # of the convolutions in two dimensions
_GROWTH = 32  # channels that each layer of a dense block adds
_BOTTLENECK = 128
_FIRST = 128  # channels of the first layer over time
_BLOCKS = ((12, 1), (24, 2), (16, 2))  # layers and dilation of each dense block
_SEGMENT = 100  # frames of the local context, two seconds
_DIMENSION = 192


class CamPlusPlus(Model):
    """The network as pyannote's pipeline takes one: 16 kHz mono to vectors of 192 numbers."""

    def __init__(self) -> None:
        super().__init__(sample_rate=16_000, num_channels=1)
        self.head = _Head()
        parts: list[tuple[str, nn.Module]] = [
            ("tdnn", _TimeDelay(_MAPS * MEL_BANDS // 8, _FIRST, kernel=5, stride=2))
        ]
        channels = _FIRST
        for number, (layers, dilation) in enumerate(_BLOCKS, start=1):
            parts.append((f"block{number}", _DenseBlock(channels, layers, dilation)))
            channels += layers * _GROWTH
            parts.append((f"transit{number}", _Transit(channels, channels // 2)))
            channels //= 2
        parts += [
            ("out_nonlinear", _normed(channels)),
            ("stats", StatsPool()),
            ("dense", _Dense(2 * channels, _DIMENSION)),
        ]
        self.xvector = nn.ModuleDict(OrderedDict(parts))

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return _DIMENSION

    def forward(  # type: ignore[override]  # pyannote's embedding models have `weights` too
        self, waveforms: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the vectors of waveforms (batch, 1, samples), shape (batch, dimension).

        `weights` (batch, frames) say how much each part of the waveform counts.
        """
        frames = self.forward_frames(waveforms)
        if weights is None:
            weights = frames.new_ones(len(frames), frames.shape[2])
        return self.forward_embedding(frames, weights)

    def forward_frames(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Turn waveforms into frames of all speakers, (batch, channels, frames), 50 a second."""
        return self.trunk(features(waveforms))

    def trunk(self, frames: torch.Tensor) -> torch.Tensor:
        """Turn features (batch, frames, mel bands) into (batch, channels, half as many frames)."""
        frames = self.head(frames.transpose(1, 2))
        for name, part in self.xvector.items():
            if name == "stats":
                break
            frames = part(frames)
        return frames

    def forward_embedding(self, frames: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return the vectors of the frames, shape (batch, dimension).

        `weights` are (batch, frames). If they are (batch, speakers, frames), each waveform has as
        many vectors, shape (batch, speakers, dimension).
        """
        pooled = self.xvector["stats"](frames, weights=weights)
        vectors: torch.Tensor = self.xvector["dense"](pooled)
        return vectors


def features(waveforms: torch.Tensor) -> torch.Tensor:
    """Compute Kaldi's log mel energies of waveforms (batch, 1, samples), every 10 ms.

    Their shape is (batch, frames, mel bands), and their mean over time is subtracted. Raises
    AssertionError for less than 25 ms.
    """
    fbank = partial(kaldi.fbank, num_mel_bins=MEL_BANDS, sample_frequency=16_000, dither=0.0)
    bands: torch.Tensor = torch.vmap(fbank)(waveforms)
    return bands - bands.mean(dim=1, keepdim=True)


def _normed(channels: int) -> nn.Sequential:
    """Make a batch normalisation and a rectifier, under the names that the weights have."""
    return nn.Sequential(OrderedDict(batchnorm=nn.BatchNorm1d(channels), relu=nn.ReLU()))


class _Residual(nn.Module):
    """Two convolutions over bands and time beside a shortcut; `stride` thins out the bands."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(_MAPS, _MAPS, 3, stride=(stride, 1), padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_MAPS)
        self.conv2 = nn.Conv2d(_MAPS, _MAPS, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(_MAPS)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.Conv2d(_MAPS, _MAPS, 1, stride=(stride, 1), bias=False))
            self.shortcut.append(nn.BatchNorm2d(_MAPS))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        found = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(maps)))))
        return F.relu(found + self.shortcut(maps))


class _Head(nn.Module):
    """The front-end convolution module: patterns in both bands and time, an eighth of the bands."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, _MAPS, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_MAPS)
        self.layer1 = nn.Sequential(_Residual(2), _Residual(1))
        self.layer2 = nn.Sequential(_Residual(2), _Residual(1))
        self.conv2 = nn.Conv2d(_MAPS, _MAPS, 3, stride=(2, 1), padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(_MAPS)

    def forward(self, bands: torch.Tensor) -> torch.Tensor:
        """Turn (batch, bands, frames) into (batch, maps * bands / 8, frames)."""
        maps = F.relu(self.bn1(self.conv1(bands.unsqueeze(1))))
        maps = self.layer2(self.layer1(maps))
        return F.relu(self.bn2(self.conv2(maps))).flatten(1, 2)


class _TimeDelay(nn.Module):
    """A convolution over time."""

    def __init__(self, given: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(
            given, channels, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        self.nonlinear = _normed(channels)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.nonlinear(self.linear(frames))
        return found


class _ContextMask(nn.Module):
    """A convolution over time, each channel of it masked by the context of each frame.

    The context of a frame is the mean of all frames plus that of its segment of two seconds.
    """

    def __init__(self, given: int, channels: int, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(
            given, channels, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.linear1 = nn.Conv1d(given, given // 2, 1)
        self.linear2 = nn.Conv1d(given // 2, channels, 1)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        context = frames.mean(dim=2, keepdim=True) + _segment_means(frames)
        mask = torch.sigmoid(self.linear2(F.relu(self.linear1(context))))
        found: torch.Tensor = self.linear_local(frames) * mask
        return found


def _segment_means(frames: torch.Tensor) -> torch.Tensor:
    """Return for each frame the mean of its segment; the last segment may be shorter."""
    means = F.avg_pool1d(frames, _SEGMENT, stride=_SEGMENT, ceil_mode=True)
    return means.repeat_interleave(_SEGMENT, dim=2)[..., : frames.shape[2]]


class _DenseLayer(nn.Module):
    """One layer of a dense block: a bottleneck and a masked convolution."""

    def __init__(self, given: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = _normed(given)
        self.linear1 = nn.Conv1d(given, _BOTTLENECK, 1, bias=False)
        self.nonlinear2 = _normed(_BOTTLENECK)
        self.cam_layer = _ContextMask(_BOTTLENECK, _GROWTH, dilation)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(frames))))
        return found


class _DenseBlock(nn.ModuleDict):
    """Layers of which each gets the outputs of all layers before it."""

    def __init__(self, given: int, layers: int, dilation: int) -> None:
        super().__init__(
            OrderedDict(
                (f"tdnnd{number + 1}", _DenseLayer(given + number * _GROWTH, dilation))
                for number in range(layers)
            )
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        for layer in self.values():
            frames = torch.cat([frames, layer(frames)], dim=1)
        return frames


class _Transit(nn.Module):
    """Reduces the number of channels between dense blocks."""

    def __init__(self, given: int, channels: int) -> None:
        super().__init__()
        self.nonlinear = _normed(given)
        self.linear = nn.Conv1d(given, channels, 1, bias=False)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.linear(self.nonlinear(frames))
        return found


class _Dense(nn.Module):
    """Turns the statistics of a voice into its vector, normalised without scale or shift."""

    def __init__(self, given: int, dimension: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(given, dimension, 1, bias=False)
        self.nonlinear = nn.Sequential(
            OrderedDict(batchnorm=nn.BatchNorm1d(dimension, affine=False))
        )

    def forward(self, statistics: torch.Tensor) -> torch.Tensor:
        """Turn (batch, given) or (batch, speakers, given) into the same with `dimension`."""
        vectors = self.linear(statistics.flatten(0, -2).unsqueeze(-1)).squeeze(-1)
        found: torch.Tensor = self.nonlinear(vectors)
        return found.reshape(*statistics.shape[:-1], _DIMENSION)

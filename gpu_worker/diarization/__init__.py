"""Diarization, who speaks when: the input and the output of a diarizer.

The method is pyannote.audio's: a segmentation model hears short windows on a sliding
grid and says which of a few local speakers is active in each frame, an embedding model
turns each of them into a vector, and a clustering of all vectors of the file makes them
the file's speakers. Models, clustering and the making of turns are pyannote's own code
(`pipeline.py`, `clustering.py` subclass it). This package adds that runs of windows (shards)
are computed apart and stitched before the clustering, that the embedding model runs once a
window instead of once a speaker (`embedding.py`), and that ten hours fit into memory. The
turns equal those of pyannote's pipeline in one process.

Importing this module loads no model library. A diarizer knows samples and windows and
nothing of files, jobs or the store.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gpu_worker.audio.samples import Audio
from gpu_worker.devices.requests import ANY_STANDING, Standing
from gpu_worker.devices.turns import NO_TURNS, Turns
from gpu_worker.diarization.grid import Grid
from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Turn

Vector = NDArray[np.float32]  # of a voice, shape (dimension,)


@dataclass(frozen=True, slots=True)
class SpeakerBounds:
    """The number of speakers, as far as it is known. Raises InvalidOption for impossible bounds."""

    num_speakers: int | None = None  # exactly; the other two are then without effect
    min_speakers: int | None = None
    max_speakers: int | None = None

    def __post_init__(self) -> None:
        given = (self.num_speakers, self.min_speakers, self.max_speakers)
        if any(number is not None and number < 1 for number in given):
            raise InvalidOption("The number of speakers must be at least 1.")
        lower, upper = self.min_speakers, self.max_speakers
        if not self.num_speakers and lower and upper and lower > upper:
            raise InvalidOption(f"min_speakers={lower} is more than max_speakers={upper}.")


@dataclass(frozen=True, slots=True, eq=False)
class ShardVoices:
    """The result of `Diarizer.embed`: the local speakers of a run of windows."""

    first_window: int  # of the file's grid
    segmentations: NDArray[Any]  # (windows, frames, local speakers); bool, or float32 scores
    embeddings: NDArray[np.float32]  # (windows, local speakers, dimension)

    @property
    def windows(self) -> range:
        """The numbers of the windows in the file's grid; they may be none."""
        return range(self.first_window, self.first_window + len(self.segmentations))

    def to_bytes(self) -> bytes:
        """Return the bytes of the shard's artifact: npz, with eight yes-or-no frames a byte."""
        held: dict[str, NDArray[Any]] = {
            "first_window": np.array(self.first_window),
            "shape": np.array(self.segmentations.shape),
            "segmentations": np.packbits(self.segmentations)
            if self.segmentations.dtype == np.bool_
            else self.segmentations,
            "embeddings": self.embeddings,
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **held)  # type: ignore[arg-type]  # the stub thinks of a flag
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> ShardVoices:
        """Make it from the result of `to_bytes`; nothing in the bytes is run as code."""
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            shape = tuple(int(length) for length in held["shape"])
            segmentations = held["segmentations"]
            if segmentations.dtype == np.uint8:
                count = int(np.prod(shape))
                segmentations = np.unpackbits(segmentations, count=count).astype(np.bool_)
            return cls(int(held["first_window"]), segmentations.reshape(shape), held["embeddings"])


@dataclass(frozen=True, slots=True)
class Speaker:
    """One of the file's speakers."""

    label: str  # SPEAKER_00, or a known speaker's name
    vector: tuple[float, ...]  # the mean of the voice's embeddings; empty if it has none


@dataclass(frozen=True, slots=True)
class Diarization:
    """The turns and speakers of a file; times in seconds, to the millisecond."""

    turns: tuple[Turn, ...] = ()  # in order of their starts; turns of several may overlap
    exclusive: tuple[Turn, ...] = ()  # at most one speaker at a time: the most active one
    speakers: tuple[Speaker, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the diarization as its artifact holds it."""
        return {
            "turns": [_turn_to_json(turn) for turn in self.turns],
            "exclusive": [_turn_to_json(turn) for turn in self.exclusive],
            "speakers": [
                {"label": speaker.label, "vector": list(speaker.vector)}
                for speaker in self.speakers
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Diarization:
        """Make a diarization from the result of `to_json`."""
        return cls(
            tuple(Turn(**turn) for turn in data["turns"]),
            tuple(Turn(**turn) for turn in data["exclusive"]),
            tuple(Speaker(item["label"], tuple(item["vector"])) for item in data["speakers"]),
        )


class Diarizer(Protocol):
    """The models and the clustering of one diarization pipeline in memory."""

    name: str
    device: str  # as for people: "cpu", "cuda"

    @property
    def grid(self) -> Grid:
        """The length of its windows and the step between them."""

    def embed(
        self,
        audio: Audio,
        windows: range,
        before_batch: Callable[[], None] = lambda: None,
        *,
        turns: Turns = NO_TURNS,
        standing: Standing = ANY_STANDING,
    ) -> ShardVoices:
        """Find the local speakers in the windows of a shard, and embed their voices.

        `audio` are the samples `grid.samples_of(windows, …)` of the file. Threads that call it at
        once share batches, in the order of `standing`; `turns` hears whose turn it is, and
        `before_batch` may raise to stop between two batches. Raises OutOfMemory.
        """

    def cluster(
        self, shards: Iterable[ShardVoices], samples: int, bounds: SpeakerBounds
    ) -> Diarization:
        """Cluster the voices of all shards into the speakers of a file of that many samples.

        The shards come in any order. A window that is in none of them has no speaker.
        """

    def voice(self, audio: Audio) -> Vector | None:
        """Return the vector of the speaker who is heard longest in a reference clip.

        None if no speaker is found.
        """


@dataclass(frozen=True, slots=True)
class DiarizerRequest:
    """Which diarizer to load, and the device it runs on."""

    model: str  # pico-voice, offline, owner/name on the hub, or a directory of pyannote's
    revision: str | None = None  # on the hub
    device: str = "auto"
    threads: int = 0  # of a CPU model; 0: all cores
    model_dir: str | None = None
    hub_token: str | None = None


def _turn_to_json(turn: Turn) -> dict[str, Any]:
    return {"start": turn.start, "end": turn.end, "speaker": turn.speaker}

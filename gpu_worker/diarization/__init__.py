"""Who speaks when: what a diarizer takes and gives.

The method is pyannote.audio's: a segmentation model hears short windows on a sliding
grid and says which of a few local speakers is active in each frame, an embedding model
turns each of them into a vector, and a clustering of all vectors of the file makes them
the file's speakers. Models, clustering and the making of turns are pyannote's own code
(`pipeline.py`, `clustering.py` subclass it). Ours is that runs of windows (shards) are
computed apart and stitched before the clustering, that the embedding model runs once a
window instead of once a speaker (`trunk.py`), and that ten hours fit into memory. The
turns equal those of pyannote's pipeline in one process.

No model library is loaded by importing this. A diarizer knows samples and windows and
nothing of files, jobs or where the shards were in between.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gpu_worker.audio.samples import Audio
from gpu_worker.diarization.grid import Grid
from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Turn

Vector = NDArray[np.float32]  # of a voice, shape (dimension,)


@dataclass(frozen=True, slots=True)
class SpeakerBounds:
    """How many people speak, as far as it is known. Raises InvalidOption if it cannot be."""

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
    """What was heard in a run of windows."""

    first_window: int  # of the file's grid
    segmentations: NDArray[Any]  # (windows, frames, local speakers); bool, or float32 scores
    embeddings: NDArray[np.float32]  # (windows, local speakers, dimension)

    @property
    def windows(self) -> range:
        """Which of the file's windows these are; it may be none."""
        return range(self.first_window, self.first_window + len(self.segmentations))

    def to_bytes(self) -> bytes:
        """As the shard's artifact holds it: npz, eight yes-or-no frames a byte."""
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
        """The inverse of `to_bytes`."""
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
    """Who speaks when in a file; times in seconds, to the millisecond."""

    turns: tuple[Turn, ...] = ()  # in order of their starts; turns of several may overlap
    exclusive: tuple[Turn, ...] = ()  # at most one speaker at a time: who is loudest, so to speak
    speakers: tuple[Speaker, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As the file's artifact holds it."""
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
        """The inverse of `to_json`."""
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
        """How long its windows are and how far apart."""

    def embed(
        self, audio: Audio, windows: range, before_batch: Callable[[], None] = lambda: None
    ) -> ShardVoices:
        """Hear the windows of a shard.

        `audio` are the samples `grid.samples_of(windows, …)` of the file. `before_batch`
        may raise to stop between two batches. Raises OutOfMemory.
        """

    def cluster(
        self, shards: Iterable[ShardVoices], samples: int, bounds: SpeakerBounds
    ) -> Diarization:
        """Make the shards' voices the speakers of a file of that many samples.

        The shards come in any order. Nobody speaks in a window that is in none of them.
        """

    def voice(self, audio: Audio) -> Vector | None:
        """The vector of whoever speaks most in a reference clip, or None if nobody does."""


@dataclass(frozen=True, slots=True)
class DiarizerRequest:
    """Which diarizer, and where it runs."""

    model: str  # pico-voice, offline, owner/name on the hub, or a directory of pyannote's
    revision: str | None = None  # on the hub
    device: str = "auto"
    threads: int = 0  # of a CPU model; 0: all cores
    model_dir: str | None = None
    hub_token: str | None = None


def _turn_to_json(turn: Turn) -> dict[str, Any]:
    return {"start": turn.start, "end": turn.end, "speaker": turn.speaker}

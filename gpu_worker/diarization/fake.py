"""A diarizer that needs no model: two speakers take turns, and silence has no speaker.

It uses the same shards as a real one: the local speakers are in another order in each window,
so that only the embeddings identify them, and a window that is lost is missing from the turns.
`fake` answers at once; `fake-50x` takes a second for fifty seconds of audio.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_worker.audio.samples import Audio
from gpu_worker.devices.batcher import Batcher
from gpu_worker.devices.requests import ANY_STANDING, Standing
from gpu_worker.devices.turns import NO_TURNS, Turns
from gpu_worker.diarization import Diarization, DiarizerRequest, ShardVoices, Speaker, SpeakerBounds
from gpu_worker.diarization.grid import Grid
from gpu_worker.errors import UnknownModel
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Turn

FRAME_SAMPLES = SAMPLE_RATE // 10
WINDOW_FRAMES, STEP_FRAMES = 50, 10
TURN_SECONDS = 4
SPEAKERS = 2


class FakeDiarizer:
    """Deterministic turns at a chosen speed."""

    device = "cpu"
    grid = Grid(WINDOW_FRAMES * FRAME_SAMPLES, STEP_FRAMES * FRAME_SAMPLES)

    def __init__(self, name: str = "fake", speed: float | None = None) -> None:
        self.name = name
        self.speed = speed  # seconds of audio a second; None: as fast as it goes
        self._batcher = Batcher[str, int, None](lambda windows, _: self._take_time(windows))

    def embed(
        self,
        audio: Audio,
        windows: range,
        before_batch: Callable[[], None] = lambda: None,
        *,
        turns: Turns = NO_TURNS,
        standing: Standing = ANY_STANDING,
    ) -> ShardVoices:
        """Hear the windows as `Diarizer.embed`, one batch a window."""
        self._batcher.run(windows, "", 1, before_batch=before_batch, turns=turns, standing=standing)
        heard = np.zeros((len(windows), WINDOW_FRAMES, SPEAKERS), dtype=np.bool_)
        voices = np.zeros((len(windows), SPEAKERS, SPEAKERS), dtype=np.float32)
        for index, window in enumerate(windows):
            start = index * self.grid.step_samples
            loud = _loud(audio[start : start + self.grid.window_samples])
            for local in range(SPEAKERS):
                speaker = (local + window) % SPEAKERS
                heard[index, :, local] = loud & (_speakers(window) == speaker)
                voices[index, local, speaker] = 1.0
        return ShardVoices(windows.start, heard, voices)

    def cluster(
        self, shards: Iterable[ShardVoices], samples: int, bounds: SpeakerBounds
    ) -> Diarization:
        """Make the turns as `Diarizer.cluster`, of at most two speakers."""
        most = min(bounds.num_speakers or bounds.max_speakers or SPEAKERS, SPEAKERS)
        frames = -(-samples // FRAME_SAMPLES)
        active = np.zeros((most, frames + WINDOW_FRAMES), dtype=np.bool_)
        for shard in shards:
            speakers = shard.embeddings.argmax(axis=2) % most  # (windows, local speakers)
            for window, of_window, heard in zip(
                shard.windows, speakers, shard.segmentations, strict=True
            ):
                first = window * STEP_FRAMES
                for local, speaker in enumerate(of_window):
                    active[speaker, first : first + WINDOW_FRAMES] |= heard[:, local]
        turns = sorted(
            (turn for row, heard in enumerate(active[:, :frames]) for turn in _turns(row, heard)),
            key=lambda turn: turn.start,
        )
        seconds = samples / SAMPLE_RATE
        kept = tuple(Turn(turn.start, min(turn.end, seconds), turn.speaker) for turn in turns)
        labels = sorted({turn.speaker for turn in kept})
        vectors = np.eye(SPEAKERS)[: len(labels)]
        return Diarization(
            kept,
            kept,
            tuple(
                Speaker(label, tuple(map(float, vector)))
                for label, vector in zip(labels, vectors, strict=True)
            ),
        )

    def voice(self, audio: Audio) -> NDArray[np.float32] | None:
        """Return the first speaker's vector, or None if the clip is silent."""
        return np.eye(SPEAKERS, dtype=np.float32)[0] if np.any(audio) else None

    def _take_time(self, windows: Sequence[int]) -> list[None]:
        if self.speed:
            time.sleep(len(windows) * self.grid.step_samples / SAMPLE_RATE / self.speed)
        return [None] * len(windows)


def load(request: DiarizerRequest) -> FakeDiarizer:
    """Make `fake`, or `fake-<N>x` for N seconds of audio a second. Raises UnknownModel."""
    match = re.fullmatch(r"fake(?:-(\d+)x)?", request.model)
    if match is None:
        raise UnknownModel(f"There is no diarization model named {request.model!r}.")
    return FakeDiarizer(request.model, float(match[1]) if match[1] else None)


def _speakers(window: int) -> NDArray[np.int64]:
    """Return the number of the speaker whose turn it is in each frame of a window."""
    frames = window * STEP_FRAMES + np.arange(WINDOW_FRAMES)
    speakers: NDArray[np.int64] = frames * FRAME_SAMPLES // (TURN_SECONDS * SAMPLE_RATE) % SPEAKERS
    return speakers


def _loud(audio: Audio) -> NDArray[np.bool_]:
    """Return which frames of a window are not silent, shape (frames,)."""
    padded = np.zeros(WINDOW_FRAMES * FRAME_SAMPLES, dtype=np.float32)
    padded[: len(audio)] = audio
    return np.asarray(padded.reshape(WINDOW_FRAMES, FRAME_SAMPLES).any(axis=1))


def _turns(speaker: int, heard: NDArray[Any]) -> Iterable[Turn]:
    first = 0
    for is_heard, run in groupby(heard.tolist()):
        last = first + len(list(run))
        if is_heard:
            scale = FRAME_SAMPLES / SAMPLE_RATE
            yield Turn(round(first * scale, 3), round(last * scale, 3), f"SPEAKER_{speaker:02d}")
        first = last

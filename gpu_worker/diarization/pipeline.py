"""Run a pyannote pipeline in two parts: hear windows, then tell the speakers apart.

The windows of a shard run in the same batches as in pyannote's own pipeline, so the same
windows give the same numbers, at whichever places the file is cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_worker.audio.samples import Audio
from gpu_worker.devices.batching import run_batches
from gpu_worker.devices.torch_devices import translating_torch_errors
from gpu_worker.diarization import Diarization, ShardVoices, Speaker, SpeakerBounds, Vector
from gpu_worker.diarization.embedding import SpeakerEmbedder, speaker_masks
from gpu_worker.diarization.fan_in import FanIn, StitchedVoices, binarize_windows
from gpu_worker.diarization.grid import Grid
from gpu_worker.diarization.pyannote_audio import Annotation, SpeakerDiarization
from gpu_worker.errors import InvalidOption
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Turn

TIME_DIGITS = 3  # milliseconds; pyannote's own output is rounded to them, and a frame has 17


class PyannoteDiarizer:
    """A pipeline of pyannote.audio, loaded and instantiated."""

    def __init__(self, name: str, device: str, pipeline: SpeakerDiarization) -> None:
        self.name = name
        self.device = device
        self._pipeline = FanIn.of(pipeline)
        self._segmentation: Any = pipeline._segmentation
        specifications: Any = self._segmentation.model.specifications
        self._is_powerset = bool(specifications.powerset)
        self._embedder = SpeakerEmbedder(pipeline._embedding)
        self.grid = Grid(
            round(self._segmentation.duration * SAMPLE_RATE),
            round(self._segmentation.step * SAMPLE_RATE),
        )

    def embed(
        self, audio: Audio, windows: range, before_batch: Callable[[], None] = lambda: None
    ) -> ShardVoices:
        """Embed voices as `Diarizer.embed`.

        Raises OutOfMemory, DevicePoisoned, and what `before_batch` raises.
        """
        heard: list[NDArray[Any]] = []
        for batch, size in self._batches(audio, len(windows)):
            heard.extend(
                run_batches(
                    batch,
                    size,
                    lambda items: list(self._hear([self._cut(audio, item) for item in items])),
                    before_batch=before_batch,
                )
            )
        scores = np.stack(heard) if heard else self._nothing()
        active = self._active(scores)
        voices = run_batches(
            range(len(windows)),
            self._pipeline.embedding_batch_size,
            lambda items: list(self._embed([self._cut(audio, i) for i in items], active[items])),
            before_batch=before_batch,
        )
        vectors = np.stack(voices) if voices else np.zeros((0, scores.shape[2], 0), np.float32)
        return ShardVoices(windows.start, active if self._is_powerset else scores, vectors)

    def cluster(
        self, shards: Iterable[ShardVoices], samples: int, bounds: SpeakerBounds
    ) -> Diarization:
        """Cluster voices as `Diarizer.cluster`.

        Raises InvalidOption if the pipeline needs the number of speakers and it is not given.
        """
        voices = self._stitch(shards, self.grid.window_count(samples))
        if voices is None:
            return Diarization()
        try:
            found = self._pipeline.diarize(voices, bounds)
        except ValueError as error:
            if self._pipeline._expects_num_speakers and not bounds.num_speakers:
                raise InvalidOption(
                    f"{self.name} needs to know how many people speak.", hint="Give num_speakers."
                ) from error
            raise
        labels = found.speaker_diarization.labels()
        return Diarization(
            _turns(found.speaker_diarization),
            _turns(found.exclusive_speaker_diarization),
            tuple(map(_speaker, labels, found.speaker_embeddings)),
        )

    def voice(self, audio: Audio) -> Vector | None:
        """Return a clip's voice as `Diarizer.voice`; repeat a clip that is shorter than a window.

        Silence, which pads other windows, would change the level that the embedding model
        measures of the recording.
        """
        if not len(audio):
            return None
        clip = np.resize(audio, max(len(audio), self.grid.window_samples))
        windows = range(self.grid.window_count(len(clip)))
        found = self.cluster([self.embed(clip, windows)], len(clip), SpeakerBounds())
        seconds: Counter[str] = Counter()
        for turn in found.exclusive:
            seconds[turn.speaker] += turn.end - turn.start  # type: ignore[assignment]  # floats too
        vectors = {speaker.label: speaker.vector for speaker in found.speakers if speaker.vector}
        loudest = max(vectors, key=lambda label: seconds[label], default=None)
        return None if loudest is None else np.array(vectors[loudest], dtype=np.float32)

    def _batches(self, audio: Audio, count: int) -> list[tuple[Sequence[int], int]]:
        """Return the windows' numbers and their batch size, in two groups.

        The whole windows run in full batches, a padded last one by itself, as pyannote does.
        """
        whole = 0
        if len(audio) >= self.grid.window_samples:
            whole = (len(audio) - self.grid.window_samples) // self.grid.step_samples + 1
        whole = min(whole, count)
        return [
            (range(whole), self._pipeline.segmentation_batch_size),
            (range(whole, count), 1),
        ]

    def _cut(self, audio: Audio, index: int) -> Audio:
        """Cut one window out of the shard's audio; fill up its end with silence."""
        first = index * self.grid.step_samples
        window = np.zeros(self.grid.window_samples, dtype=np.float32)
        part = audio[first : first + self.grid.window_samples]
        window[: len(part)] = part
        return window

    def _hear(self, windows: list[Audio]) -> NDArray[np.float32]:
        """Compute the scores of the local speakers, shape (windows, frames, speakers)."""
        batch = torch.from_numpy(np.stack(windows)).unsqueeze(1)
        return np.asarray(translating_torch_errors(lambda: self._segmentation.infer(batch)))

    def _embed(self, windows: list[Audio], active: NDArray[np.bool_]) -> NDArray[np.float32]:
        masks = speaker_masks(
            active,
            bool(self._pipeline.embedding_exclude_overlap),
            self._embedder.least_frames(active.shape[1], self.grid.window_samples),
        )
        return translating_torch_errors(lambda: self._embedder.embed(np.stack(windows), masks))

    def _active(self, scores: NDArray[Any]) -> NDArray[np.bool_]:
        if self._is_powerset:
            return scores > 0
        onset = self._pipeline.segmentation.threshold
        return binarize_windows(scores, onset=onset, initial_state=False)

    def _nothing(self) -> NDArray[np.float32]:
        return np.zeros((0, 0, 0), dtype=np.float32)

    def _stitch(self, shards: Iterable[ShardVoices], count: int) -> StitchedVoices | None:
        """Put the shards' windows into arrays for all windows of the file; None if all are empty.

        Windows that are in no shard are silent.
        """
        voices: StitchedVoices | None = None
        for shard in shards:
            if not shard.windows:
                continue
            if voices is None:
                frames = shard.segmentations.shape[1]
                silent = self._embedder.silent(self.grid.window_samples, frames)
                voices = StitchedVoices(
                    np.zeros((count, *shard.segmentations.shape[1:]), shard.segmentations.dtype),
                    np.tile(silent, (count, shard.segmentations.shape[2], 1)),
                )
            place = slice(shard.windows.start, shard.windows.stop)
            voices.segmentations[place] = shard.segmentations
            voices.embeddings[place] = shard.embeddings
        return voices


def _turns(annotation: Annotation) -> tuple[Turn, ...]:
    return tuple(
        Turn(round(segment.start, TIME_DIGITS), round(segment.end, TIME_DIGITS), label)
        for segment, _, label in annotation.itertracks(yield_label=True)
    )


def _speaker(label: str, centroid: NDArray[np.float32]) -> Speaker:
    """Make a speaker; its vector is empty if the cluster has no speech that is long enough."""
    has_voice = bool(np.isfinite(centroid).all() and centroid.any())
    return Speaker(label, tuple(map(float, centroid)) if has_voice else ())

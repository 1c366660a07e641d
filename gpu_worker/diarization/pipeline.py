"""Run a pyannote pipeline in two parts: hear windows, then tell the speakers apart.

Each model has a batcher, so its batches hold windows of all shards and jobs that are heard at
once. On a GPU they are large, and a shard's samples are sent to it once: its windows overlap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_worker.audio.samples import Audio
from gpu_worker.devices.batcher import Batcher
from gpu_worker.devices.nvml import memory_ratio
from gpu_worker.devices.requests import ANY_STANDING, Standing
from gpu_worker.devices.torch_devices import translating_torch_errors
from gpu_worker.devices.turns import NO_TURNS, Turns, device_of_batches
from gpu_worker.diarization import Diarization, ShardVoices, Speaker, SpeakerBounds, Vector
from gpu_worker.diarization.embedding import SpeakerEmbedder, speaker_masks
from gpu_worker.diarization.fan_in import FanIn, StitchedVoices, binarize_windows
from gpu_worker.diarization.grid import Grid
from gpu_worker.diarization.pyannote_audio import Annotation, SpeakerDiarization
from gpu_worker.errors import InvalidOption
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Turn

TIME_DIGITS = 3  # milliseconds; pyannote's own output is rounded to them, and a frame has 17
# Heard and embedded at once on a GPU: all windows of a shard of pyannote's, whose segmentation has
# hundreds of steps in a row, and as many as keep the embedding model's convolutions busy.
GPU_HEARD, GPU_EMBEDDED = 256, 64
CPU_EMBEDDED = 2  # more save nothing there, and cost memory (docs/speed.md)
_WHOLE, _PADDED, _ANY = "whole", "padded", "any"  # windows

_Window = torch.Tensor  # its samples, on the device
_Voices = tuple[_Window, NDArray[np.float32]]  # and the masks of its speakers


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
        shared, ratio = device_of_batches(device), partial(memory_ratio, device)
        self._heard = Batcher[str, _Window, NDArray[Any]](
            lambda windows, _: translating_torch_errors(partial(self._hear, windows)),
            device=shared,
            memory_ratio=ratio,
        )
        self._embedded = Batcher[str, _Voices, NDArray[np.float32]](
            lambda voices, _: translating_torch_errors(partial(self._embed, voices)),
            device=shared,
            memory_ratio=ratio,
        )
        on_gpu = device != "cpu"
        self._heard_at_once = GPU_HEARD if on_gpu else pipeline.segmentation_batch_size
        self._embedded_at_once = GPU_EMBEDDED if on_gpu else CPU_EMBEDDED
        # A file's last window is mostly silence behind its end. pyannote hears it by itself; a GPU
        # hears it with all others, as a short file has no other.
        self._hears_padded_apart = not on_gpu
        self.grid = Grid(
            round(self._segmentation.duration * SAMPLE_RATE),
            round(self._segmentation.step * SAMPLE_RATE),
        )

    def embed(
        self,
        audio: Audio,
        windows: range,
        before_batch: Callable[[], None] = lambda: None,
        *,
        turns: Turns = NO_TURNS,
        standing: Standing = ANY_STANDING,
    ) -> ShardVoices:
        """Embed voices as `Diarizer.embed`.

        Raises OutOfMemory, DevicePoisoned, and what `before_batch` raises.
        """
        cut = translating_torch_errors(lambda: self._cut(audio, len(windows)))
        whole = self._whole(len(audio), len(windows)) if self._hears_padded_apart else len(cut)
        hear = partial(self._heard.run, before_batch=before_batch, turns=turns, standing=standing)
        heard = hear(cut[:whole], _WHOLE, self._heard_at_once) + hear(cut[whole:], _PADDED, 1)
        scores = np.stack(heard) if heard else self._nothing()
        active = self._active(scores)
        masks = speaker_masks(
            active,
            bool(self._pipeline.embedding_exclude_overlap),
            self._embedder.least_frames(active.shape[1], self.grid.window_samples),
        )
        voices = self._embedded.run(
            list(zip(cut, masks, strict=True)),
            _ANY,
            self._embedded_at_once,
            before_batch=before_batch,
            turns=turns,
            standing=standing,
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

    def _whole(self, samples: int, count: int) -> int:
        """Return how many of a shard's windows end before the file does."""
        if samples < self.grid.window_samples:
            return 0
        return min((samples - self.grid.window_samples) // self.grid.step_samples + 1, count)

    def _cut(self, audio: Audio, count: int) -> list[_Window]:
        """Send a shard's samples to the device, and cut its windows out of them there.

        Silence fills up the end of one that goes on behind the file.
        """
        if not count:
            return []
        length, step = self.grid.window_samples, self.grid.step_samples
        samples = torch.zeros((count - 1) * step + length)
        samples[: len(audio)] = torch.tensor(audio[: len(samples)])
        return list(samples.to(self.device).unfold(0, length, step))

    def _hear(self, windows: Sequence[_Window]) -> list[NDArray[Any]]:
        """Compute the scores of the local speakers, shape (frames, speakers) for each window."""
        return list(np.asarray(self._segmentation.infer(torch.stack(list(windows)).unsqueeze(1))))

    def _embed(self, voices: Sequence[_Voices]) -> list[NDArray[np.float32]]:
        """Compute the vectors of each window's speakers, shape (speakers, dimension)."""
        windows, masks = zip(*voices, strict=True)
        return list(self._embedder.embed(torch.stack(windows), np.stack(masks)))

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

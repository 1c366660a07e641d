"""Run pyannote's pipeline from the clustering on, over windows that other workers have heard.

The scores and vectors that pyannote would compute from the audio are given to it, so that its own
`apply` clusters and makes the turns. Some of its steps build arrays of windows × frames ×
clusters or loop over single frames in Python; they are done here in blocks and whole arrays, with
the same numbers to the bit, so that ten hours fit into memory (`benchmarks/speakers/fan_in.py`).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_worker.diarization import SpeakerBounds
from gpu_worker.diarization.clustering import bounded, take_over
from gpu_worker.diarization.pyannote_audio import (
    Annotation,
    Segment,
    SlidingWindow,
    SlidingWindowFeature,
    SpeakerDiarization,
    binarize,
    string_generator,
)

_BLOCK_WINDOWS = 1024
_BLOCK_FRAMES = 65_536
_THROWN_AWAY = -2  # pyannote's cluster of the speakers who say nothing


@dataclass(frozen=True, slots=True, eq=False)
class StitchedVoices:
    """The scores and vectors of all windows of a file."""

    segmentations: NDArray[Any]  # (windows, frames, local speakers); bool, or float32 scores
    embeddings: NDArray[np.float32]  # (windows, local speakers, dimension)


class StitchedScores(SlidingWindowFeature):  # type: ignore[misc]  # it has no types
    """The segmentations of a whole file, which pyannote's functions take in blocks."""

    activations: SlidingWindowFeature | None = None  # of the clusters; both outputs need them


@binarize.register(StitchedScores)  # type: ignore[untyped-decorator,unused-ignore]
def _binarize_blocks(scores: StitchedScores, **options: Any) -> SlidingWindowFeature:
    """Do as pyannote's `binarize`, block by block, to bool; windows do not depend on each other."""
    return SlidingWindowFeature(binarize_windows(scores.data, **options), scores.sliding_window)


def binarize_windows(scores: NDArray[Any], **options: Any) -> NDArray[np.bool_]:
    """Turn scores of windows into active or not, shape (windows, frames, speakers)."""
    active = np.empty(scores.shape, dtype=np.bool_)
    anywhere = SlidingWindow(duration=1.0, step=1.0)
    for first in range(0, len(scores), _BLOCK_WINDOWS):
        block = slice(first, first + _BLOCK_WINDOWS)
        active[block] = binarize(SlidingWindowFeature(scores[block], anywhere), **options).data > 0
    return active


class FanIn(SpeakerDiarization):
    """pyannote's pipeline without the parts that need audio."""

    @classmethod
    def of(cls, loaded: SpeakerDiarization) -> FanIn:
        """Make one with the models and parameters of a loaded pipeline, which is not changed."""
        taken = take_over(cls, loaded)
        parts = dict(loaded._pipelines, clustering=bounded(loaded.clustering))
        taken.__dict__["_pipelines"] = parts
        return taken

    def diarize(self, voices: StitchedVoices, bounds: SpeakerBounds) -> Any:
        """Cluster all voices, and return pyannote's `DiarizeOutput`.

        Raises ValueError for bounds that pyannote refuses.
        """
        file = {"uri": "audio", "voices": voices}
        with warnings.catch_warnings():
            # pyannote warns when the bounds are not met, numpy when no speaker speaks long enough.
            warnings.simplefilter("ignore")
            return self.apply(
                file,
                num_speakers=bounds.num_speakers,
                min_speakers=bounds.min_speakers,
                max_speakers=bounds.max_speakers,
            )

    def get_segmentations(self, file: Any, hook: Any = None) -> SlidingWindowFeature:
        """Return the scores that the shards hold; pyannote would compute them from the audio."""
        window = SlidingWindow(
            start=0.0, duration=self._segmentation.duration, step=self._segmentation.step
        )
        return StitchedScores(file["voices"].segmentations, window)

    def get_embeddings(self, file: Any, *_: Any, **__: Any) -> NDArray[np.float32]:
        """Return the embeddings that the shards hold; pyannote would compute them from audio."""
        embeddings: NDArray[np.float32] = file["voices"].embeddings
        return embeddings

    def reconstruct(
        self,
        segmentations: StitchedScores,
        hard_clusters: NDArray[np.signedinteger[Any]],
        count: SlidingWindowFeature,
    ) -> SlidingWindowFeature:
        """Mark in each frame the `count` most active clusters by 1, shape (frames, clusters)."""
        if segmentations.activations is None:
            segmentations.activations = _activations(
                segmentations, hard_clusters, count.sliding_window
            )
        activations = segmentations.activations
        extent = activations.extent & count.extent
        return _most_active(
            activations.crop(extent, return_data=False), count.crop(extent, return_data=False)
        )

    @staticmethod
    def to_annotation(
        discrete_diarization: SlidingWindowFeature,
        min_duration_on: float = 0.0,
        min_duration_off: float = 0.0,
    ) -> Annotation:
        """Make turns of runs of active frames, between the middles of frames.

        Pauses up to `min_duration_off` seconds are filled. `min_duration_on` is always 0 in this
        pipeline.
        """
        turns = Annotation()
        middles = _middles(discrete_diarization.sliding_window, len(discrete_diarization.data))
        tracks = string_generator()
        for cluster, active in enumerate(discrete_diarization.data.T):
            track = next(tracks)
            changes = np.flatnonzero(np.diff(active.astype(np.int8), prepend=0, append=0))
            for first, end in changes.reshape(-1, 2):
                region = Segment(middles[first], middles[min(end, len(middles) - 1)])
                turns[region, track] = cluster
        return turns.support(collar=min_duration_off) if min_duration_off > 0 else turns


def _activations(
    scores: StitchedScores, clusters: NDArray[Any], frames: SlidingWindow
) -> SlidingWindowFeature:
    """Sum all windows' scores for each cluster, shape (frames, clusters), float32.

    A cluster's score in a window is the greatest of its local speakers' (pyannote's rule).
    """
    windows, window_frames, _ = scores.data.shape
    grid = scores.sliding_window
    last = grid.start + grid.duration + (windows - 1) * grid.step
    frame_count = frames.closest_frame(last + 0.5 * frames.duration) + 1
    summed = np.zeros((frame_count, max(0, clusters.max() + 1)), dtype=np.float32)
    for window, (members, heard) in enumerate(zip(clusters, scores.data, strict=True)):
        first = frames.closest_frame(grid[window].start + 0.5 * frames.duration)
        for cluster in np.unique(members):
            if cluster != _THROWN_AWAY:
                score = heard[:, members == cluster].max(axis=1).astype(np.float64)
                summed[first : first + window_frames, cluster] += score
    return SlidingWindowFeature(summed, frames)


def _most_active(
    activations: SlidingWindowFeature, count: SlidingWindowFeature
) -> SlidingWindowFeature:
    scores = activations.data
    missing = int(count.data.max()) - scores.shape[1]
    if missing > 0:
        scores = np.pad(scores, ((0, 0), (0, missing)))
    chosen = np.zeros(scores.shape, dtype=np.uint8)
    for first in range(0, len(scores), _BLOCK_FRAMES):
        block = slice(first, first + _BLOCK_FRAMES)
        order = np.argsort(-scores[block], axis=-1)
        is_counted = np.arange(scores.shape[1]) < count.data[block]
        np.put_along_axis(chosen[block], order, is_counted.astype(np.uint8), axis=-1)
    return SlidingWindowFeature(chosen, activations.sliding_window)


def _middles(frames: SlidingWindow, count: int) -> list[float]:
    """Return the middle of each frame in seconds, computed in the order of `Segment.middle`."""
    starts = frames.start + np.arange(count) * frames.step
    return [float(middle) for middle in 0.5 * (starts + (starts + frames.duration))]

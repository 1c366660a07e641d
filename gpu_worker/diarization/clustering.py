"""pyannote's clusterings, for files of any length.

The hierarchical clustering that all of them begin with compares each embedding with each
other, so its time and memory grow with the square of their number: scipy takes 6 s and 0.5 GB
for 8,000 (two hours of conversation) and would take minutes and 10 GB for the 36,000 of ten
hours (`benchmarks/speakers/fan_in.py`). Up to `MOST_EMBEDDINGS` the result is pyannote's to the
bit. Above, the clusters are found from that many of the embeddings, evenly spaced over the file,
and all others go to the nearest cluster, as pyannote does with the embeddings that it finds
too short to cluster by. A speaker who says very little in a very long file can then be taken
for another one.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpu_worker.diarization.pyannote_audio import (
    AgglomerativeClustering,
    BaseClustering,
    KMeansClustering,
    SlidingWindowFeature,
    VBxClustering,
)

MOST_EMBEDDINGS = 8_000

Filtered = tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]
Kind = TypeVar("Kind")


class _Bounded(BaseClustering):
    """Finds the clusters from at most `MOST_EMBEDDINGS` of the embeddings."""

    def filter_embeddings(
        self,
        embeddings: NDArray[np.float32],
        segmentations: SlidingWindowFeature | None = None,
        min_active_ratio: float = 0.2,
    ) -> Filtered:
        """Take the embeddings that pyannote clusters by, thinned out evenly if there are too many.

        Return their vectors, windows and local speakers, each with one row an embedding.
        """
        vectors, windows, speakers = super().filter_embeddings(
            embeddings, segmentations, min_active_ratio
        )
        if len(vectors) <= MOST_EMBEDDINGS:
            return vectors, windows, speakers
        chosen = np.linspace(0, len(vectors) - 1, MOST_EMBEDDINGS).round().astype(np.intp)
        return vectors[chosen], windows[chosen], speakers[chosen]


class BoundedAgglomerative(_Bounded, AgglomerativeClustering):
    """The clustering of pyannote's pipelines up to 3.1, of pico-voice and of `offline`."""


class BoundedVBx(_Bounded, VBxClustering):
    """The clustering of the community pipeline."""


class BoundedKMeans(_Bounded, KMeansClustering):
    """The clustering of pipelines to which the number of speakers must be given."""


def bounded(clustering: BaseClustering) -> BaseClustering:
    """Return the same clustering for files of any length; a kind that is not known as it is."""
    for kind in (BoundedAgglomerative, BoundedVBx, BoundedKMeans):
        if type(clustering) in kind.__bases__:
            return take_over(kind, clustering)
    return clustering


def take_over(kind: type[Kind], original: Any) -> Kind:
    """Make an object of `kind` with the attributes of `original`, an object of its base class."""
    taken = kind.__new__(kind)
    vars(taken).update(vars(original))
    return taken

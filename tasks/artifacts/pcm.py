"""Read a span of stored PCM as the array that models take."""

from __future__ import annotations

from gpu_worker.audio.samples import Audio, pcm_to_audio
from gpu_worker.pcm import SAMPLE_BYTES, Span
from tasks.artifacts import ArtifactStore


def read_audio(store: ArtifactStore, key: str, span: Span) -> Audio:
    """Read the samples of `span` out of a PCM artifact, shape (samples,).

    Fetches only those bytes. Raises ArtifactMissing and what the store raises.
    """
    return pcm_to_audio(store.get(key, span.start * SAMPLE_BYTES, span.samples * SAMPLE_BYTES))

"""Name speakers whose voices are known, instead of SPEAKER_00.

Pairs of a known voice and a speaker of the file are compared by cosine similarity and
matched one to one so that the sum is greatest. Takes vectors, not audio, and returns names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gpu_worker.diarization import Diarization, Vector
from gpu_worker.transcript import Turn

THRESHOLD = 0.5
"""The least similarity of the same person: a distance of at most 0.5, stricter than the 0.6 up to
which pyannote's community pipeline puts two embeddings into one cluster."""


def name_speakers(
    diarization: Diarization, known: Mapping[str, Vector | None], threshold: float = THRESHOLD
) -> Diarization:
    """Rename the speakers who sound like one of `known`.

    The others are numbered from SPEAKER_00 without gaps, in their old order. A known
    speaker without a vector is never matched. `threshold` is the least cosine similarity.
    """
    labels = [speaker.label for speaker in diarization.speakers]
    vectors = [np.asarray(speaker.vector, dtype=np.float64) for speaker in diarization.speakers]
    voices = [(name, vector) for name, vector in known.items() if vector is not None]
    names = dict(zip(labels, _numbered(_matches(vectors, voices, threshold)), strict=True))
    return Diarization(
        _renamed(diarization.turns, names),
        _renamed(diarization.exclusive, names),
        tuple(replace(speaker, label=names[speaker.label]) for speaker in diarization.speakers),
    )


def _matches(
    vectors: list[NDArray[np.float64]], voices: list[tuple[str, Vector]], threshold: float
) -> list[str | None]:
    """Return the known name of each speaker, or None."""
    from scipy.optimize import linear_sum_assignment

    found: list[str | None] = [None] * len(vectors)
    similar = np.array(
        [[_similarity(vector, voice) for _, voice in voices] for vector in vectors]
    ).reshape(len(vectors), len(voices))
    # A pair below the threshold must not displace a real match, so it gets the least similarity.
    similar[similar < threshold] = -1.0
    for speaker, voice in zip(*linear_sum_assignment(similar, maximize=True), strict=True):
        if similar[speaker, voice] >= threshold:
            found[speaker] = voices[voice][0]
    return found


def _similarity(one: NDArray[np.float64], other: Vector) -> float:
    if one.shape != other.shape:  # no vector at all, or another model's
        return -1.0
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / length if length > 0 else -1.0


def _numbered(names: list[str | None]) -> list[str]:
    """Return the names, with a number such as SPEAKER_00 for each speaker without one.

    A number that is a known speaker's name is left out.
    """
    taken = set(names)
    numbers = (label for n in range(2 * len(names)) if (label := f"SPEAKER_{n:02d}") not in taken)
    return [next(numbers) if name is None else name for name in names]


def _renamed(turns: Iterable[Turn], names: Mapping[str, str]) -> tuple[Turn, ...]:
    return tuple(replace(turn, speaker=names[turn.speaker]) for turn in turns)

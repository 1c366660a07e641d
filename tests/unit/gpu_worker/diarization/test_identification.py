"""Known people's names for the speakers of a file."""

from __future__ import annotations

import numpy as np
import pytest

from gpu_worker.diarization import Diarization, Speaker, Vector
from gpu_worker.diarization.identification import name_speakers
from gpu_worker.transcript import Turn


def found(*vectors: tuple[float, ...]) -> Diarization:
    """One turn a speaker."""
    labels = [f"SPEAKER_{number:02d}" for number in range(len(vectors))]
    turns = tuple(Turn(float(n), n + 1.0, label) for n, label in enumerate(labels))
    return Diarization(turns, turns[:1], tuple(map(Speaker, labels, vectors)))


def names(diarization: Diarization) -> list[str]:
    assert [turn.speaker for turn in diarization.turns] == [s.label for s in diarization.speakers]
    return [speaker.label for speaker in diarization.speakers]


def voice(*numbers: float) -> Vector:
    return np.array(numbers, dtype=np.float32)


def test_who_sounds_alike_gets_the_name_and_the_others_are_numbered_without_gaps() -> None:
    named = name_speakers(
        found((1, 0, 0), (0, 2, 0.1), (0, 0, 3)), {"Anna": voice(0, 1, 0), "Eva": voice(-1, 0, 0)}
    )
    assert names(named) == ["SPEAKER_00", "Anna", "SPEAKER_01"]
    assert [turn.speaker for turn in named.exclusive] == ["SPEAKER_00"]


def test_two_speakers_do_not_share_a_name() -> None:
    named = name_speakers(found((1, 0.2), (1, 0)), {"Anna": voice(1, 0)})
    assert names(named) == ["SPEAKER_00", "Anna"]


def test_the_sum_of_similarities_decides_and_not_the_first_come() -> None:
    # Greedily Anna would take the first speaker (0.995) and leave Eva with -0.1.
    named = name_speakers(found((1, 0.1), (1, -0.5)), {"Anna": voice(1, 0), "Eva": voice(1, 0.8)})
    assert names(named) == ["Eva", "Anna"]


def test_a_pair_below_the_threshold_pushes_no_real_match_aside() -> None:
    # Without it the best sum is Anna to the second (0.45) and Eva to the first (0.9).
    speakers = found((1.0, 0.0), (0.45, 0.893))
    known = {"Anna": voice(1, 0), "Eva": voice(0.9, -0.436)}
    assert names(name_speakers(speakers, known, threshold=0.5)) == ["Anna", "SPEAKER_00"]


@pytest.mark.parametrize("vector", [(), (0.0, 0.0), (1.0, 0.0, 0.0)])
def test_a_speaker_without_a_voice_stays_a_number(vector: tuple[float, ...]) -> None:
    assert names(name_speakers(found(vector), {"Anna": voice(1, 0)})) == ["SPEAKER_00"]


def test_a_known_speaker_without_a_vector_is_nobody() -> None:
    speakers = found((1, 0))
    assert name_speakers(speakers, {"Anna": None}) == speakers
    assert name_speakers(speakers, {}) == speakers
    assert name_speakers(Diarization(), {"Anna": voice(1)}) == Diarization()


def test_a_known_speaker_may_be_called_like_a_number() -> None:
    named = name_speakers(found((1, 0), (0, 1)), {"SPEAKER_00": voice(0, 1)})
    assert names(named) == ["SPEAKER_01", "SPEAKER_00"]

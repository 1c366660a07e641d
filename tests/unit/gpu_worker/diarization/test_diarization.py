"""What shards and diarizations are stored as, and how many speakers there can be."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gpu_worker.diarization import Diarization, ShardVoices, Speaker, SpeakerBounds
from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Turn

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(5, 3, 8)).astype(np.float32)


def same(one: ShardVoices, other: ShardVoices) -> bool:
    return (
        one.windows == other.windows
        and one.segmentations.dtype == other.segmentations.dtype
        and np.array_equal(one.segmentations, other.segmentations)
        and one.embeddings.dtype == other.embeddings.dtype
        and np.array_equal(one.embeddings, other.embeddings)
    )


def test_scores_come_back_to_the_bit() -> None:
    voices = ShardVoices(7, RNG.random((5, 11, 3)).astype(np.float32), VECTORS)
    assert same(ShardVoices.from_bytes(voices.to_bytes()), voices)
    assert list(voices.windows) == [7, 8, 9, 10, 11]


def test_yes_or_no_takes_a_bit_a_frame() -> None:
    voices = ShardVoices(0, RNG.random((5, 589, 3)) > 0.5, np.zeros((5, 3, 8), np.float32))
    data = voices.to_bytes()
    assert same(ShardVoices.from_bytes(data), voices)
    assert len(data) < 5 * 589 * 3 / 8 + 1500


def test_a_shard_without_windows_comes_back() -> None:
    voices = ShardVoices(3, np.zeros((0, 0, 0), np.bool_), np.zeros((0, 0, 0), np.float32))
    assert same(ShardVoices.from_bytes(voices.to_bytes()), voices)


def test_equal_shards_have_equal_bytes() -> None:
    first, second = (ShardVoices(0, VECTORS > 0, VECTORS.copy()).to_bytes() for _ in range(2))
    assert first == second


def test_a_diarization_comes_back_from_json() -> None:
    found = Diarization(
        (Turn(0.25, 1.5, "SPEAKER_00"), Turn(1.0, 2.0, "Anna")),
        (Turn(0.25, 1.5, "SPEAKER_00"),),
        (Speaker("Anna", ()), Speaker("SPEAKER_00", (0.1, float(np.float32(0.3))))),
    )
    assert Diarization.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert Diarization.from_json(Diarization().to_json()) == Diarization()


@pytest.mark.parametrize("bounds", [(0, None, None), (None, 0, None), (None, None, -1)])
def test_there_is_at_least_one_speaker(bounds: tuple[int | None, ...]) -> None:
    with pytest.raises(InvalidOption, match="at least 1"):
        SpeakerBounds(*bounds)


def test_the_least_number_of_speakers_is_not_above_the_greatest() -> None:
    with pytest.raises(InvalidOption, match="min_speakers=3 is more than max_speakers=2"):
        SpeakerBounds(min_speakers=3, max_speakers=2)
    SpeakerBounds(num_speakers=4, min_speakers=3, max_speakers=2)  # they are without effect then

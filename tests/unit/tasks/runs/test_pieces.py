"""How many pieces a file has is bounded by its length."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_worker.errors import InvalidOption
from tasks.runs.options import JobOptions
from tasks.runs.pieces import check_pieces

HOUR = 3600.0


@pytest.mark.parametrize(
    ("options", "seconds", "audios"),
    [
        ({"chunk_seconds": 5.0}, HOUR, 1),
        ({"chunk_seconds": 10.0, "diarize": True, "shard_seconds": 10.0}, 24 * HOUR, 1),
        ({"shard_seconds": 8.0}, 24 * HOUR, 1),  # it has no shards
        ({}, 24 * HOUR, 16),
    ],
)
def test_pieces_of_a_usual_length_are_accepted(
    options: dict[str, Any], seconds: float, audios: int
) -> None:
    check_pieces(JobOptions(**options), seconds, audios, 20_000)


@pytest.mark.parametrize(
    ("options", "seconds", "audios", "named"),
    [
        ({"chunk_seconds": 9.0}, HOUR + 1, 1, "chunk_seconds"),
        ({"chunk_seconds": 10.0, "channels": "split"}, 24 * HOUR, 3, "25920 chunks"),
        ({"diarize": True, "shard_seconds": 8.0}, HOUR + 1, 1, "shard_seconds"),
        ({"diarize": True, "shard_seconds": 10.0}, 80 * HOUR, 1, "28800 shards"),
    ],
)
def test_a_file_of_too_many_pieces_is_refused_by_the_option_that_makes_them(
    options: dict[str, Any], seconds: float, audios: int, named: str
) -> None:
    with pytest.raises(InvalidOption, match=named):
        check_pieces(JobOptions(**options), seconds, audios, 20_000)

"""How much is decoded at once, and which tokens may be suppressed."""

from __future__ import annotations

import pytest

from gpu_worker.errors import InvalidOption
from gpu_worker.transcription.engines import DecodeOptions
from gpu_worker.transcription.engines.attempts import (
    SAMPLED_AT_ONCE,
    check_tokens,
    groups,
)


def test_a_batch_is_decoded_at_once_at_temperature_0() -> None:
    assert list(groups(range(500), DecodeOptions(best_of=20), 0.0)) == [range(500)]
    assert list(groups([], DecodeOptions(), 0.0)) == []


@pytest.mark.parametrize("best_of", [1, 5, 20])
def test_sampling_holds_a_bounded_number_of_candidates(best_of: int) -> None:
    windows = list(range(0, 300, 3))
    cut = list(groups(windows, DecodeOptions(best_of=best_of), 0.2))
    assert [window for group in cut for window in group] == windows
    assert max(len(group) for group in cut) * best_of <= SAMPLED_AT_ONCE


def test_only_tokens_of_the_model_are_suppressed() -> None:
    check_tokens(DecodeOptions(suppress_tokens=(-1, 0, 9)), 10)
    for token in (10, -2, 5 * 10**8):
        with pytest.raises(InvalidOption, match=f"has {token}, but the model's tokens are 0 to 9"):
            check_tokens(DecodeOptions(suppress_tokens=(1, token)), 10)

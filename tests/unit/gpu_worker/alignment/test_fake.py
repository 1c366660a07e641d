"""The fake aligner spreads words evenly, the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from gpu_worker.alignment import SpokenWindow, align
from gpu_worker.alignment.fake import FAKE_SCORE, FakeAligner

WINDOW = SpokenWindow(np.zeros(48_000, dtype=np.float32), ("a", "bc", "def"))


def test_words_share_the_window_by_their_length() -> None:
    [words] = align(FakeAligner(), [WINDOW])
    assert [(word.word, word.start, word.end) for word in words] == [
        ("a", 0.0, 0.5),
        ("bc", 0.5, 1.5),
        ("def", 1.5, 3.0),
    ]
    assert {word.score for word in words} == {FAKE_SCORE}
    assert not any(word.interpolated for word in words)


def test_windows_do_not_change_each_other() -> None:
    silent = SpokenWindow(np.zeros(0, dtype=np.float32), ("x",))
    wordless = SpokenWindow(WINDOW.audio, ())
    found = align(FakeAligner(), [WINDOW, silent, wordless])
    assert found[0] == align(FakeAligner(), [WINDOW])[0]
    assert [(word.start, word.end) for word in found[1]] == [(0.0, 0.0)]
    assert found[2] == ()


def test_a_batch_can_be_too_large() -> None:
    aligner = FakeAligner(largest_batch=1)
    assert len(align(aligner, [WINDOW])) == 1
    with pytest.raises(MemoryError):
        align(aligner, [WINDOW, WINDOW])

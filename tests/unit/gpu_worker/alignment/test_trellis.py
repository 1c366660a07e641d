"""The batched trellis finds the very paths of the plain recurrence, and of whisperX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpu_worker.alignment.characters import WILDCARD
from gpu_worker.alignment.trellis import (
    NUMPY,
    SymbolPath,
    _best_paths,
    _run_trellis,
    _symbol_scores,
    align_symbols,
    torch_library,
)

pytestmark = pytest.mark.slow  # it imports torch

BLANK = 0
Window = tuple[NDArray[np.float32], NDArray[np.intp]]  # emissions and symbols


def log_softmax(logits: Any) -> NDArray[np.float32]:
    found: NDArray[np.float32] = torch.log_softmax(
        torch.tensor(logits, dtype=torch.float32), dim=-1
    ).numpy()
    return found


@st.composite
def windows(draw: st.DrawFn, wild: bool = False) -> Window:
    """Emissions of a few frames, sometimes full of ties, and symbols that may be too many."""
    frames, columns = draw(st.integers(1, 30)), draw(st.integers(2, 6))
    dice = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    emission = log_softmax(dice.normal(size=(frames, columns)) * draw(st.sampled_from((0.1, 1, 9))))
    if draw(st.booleans()):
        emission = np.round(emission).astype(np.float32)
    lowest = WILDCARD if wild else 0
    symbols = draw(st.lists(st.integers(lowest, columns - 1), max_size=frames + 2))
    return emission, np.asarray(symbols, dtype=np.intp)


def plain_path(emission: NDArray[np.float32], symbols: NDArray[np.intp]) -> SymbolPath | None:
    """The recurrence, one cell after the other."""
    frames, count = len(emission), len(symbols)
    if not 0 < count <= frames:
        return None
    scores = np.full((frames + 1, count + 1), -np.inf, dtype=np.float32)
    scores[0, 0] = 0
    scores[1:, 0] = np.cumsum(emission[:, BLANK], dtype=np.float64)
    for frame in range(frames):
        for place in range(1, count + 1):
            scores[frame + 1, place] = max(
                scores[frame, place] + emission[frame, BLANK],
                scores[frame, place - 1] + emission[frame, symbols[place - 1]],
            )
    end = int(scores[:, count].argmax())
    ways: list[list[float]] = [[] for _ in symbols]
    starts = [0] * count
    frame, place = end, count
    while place:
        frame -= 1
        stayed = scores[frame, place] + emission[frame, BLANK]
        entered = scores[frame, place - 1] + emission[frame, symbols[place - 1]]
        column = symbols[place - 1] if entered > stayed else BLANK
        ways[place - 1].append(float(np.exp(emission[frame, column])))
        if entered > stayed:
            place -= 1
            starts[place] = frame
    return SymbolPath(
        np.asarray(starts),
        np.asarray([*starts[1:], end]),
        np.asarray([np.mean(way) for way in ways]),
    )


def assert_same(found: SymbolPath | None, expected: SymbolPath | None) -> None:
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        assert list(found.starts) == list(expected.starts)
        assert list(found.ends) == list(expected.ends)
        assert found.scores == pytest.approx(expected.scores, abs=1e-5)


@settings(deadline=None)
@given(st.lists(windows(), max_size=20))
def test_a_batch_has_the_paths_of_the_plain_recurrence(batch: list[Window]) -> None:
    found = align_symbols([window[0] for window in batch], [window[1] for window in batch], BLANK)
    assert len(found) == len(batch)
    for path, window in zip(found, batch, strict=True):
        assert_same(path, plain_path(*window))


@settings(deadline=None, max_examples=200)
@given(st.lists(windows(wild=True), max_size=20))
def test_torch_finds_the_very_paths_of_numpy(batch: list[Window]) -> None:
    """Ties, wildcards, windows of all lengths, and some that do not fit: to the last bit."""
    symbols = [window[1] for window in batch]
    tensors = [torch.from_numpy(window[0]) for window in batch]
    expected = align_symbols([window[0] for window in batch], symbols, BLANK)
    found = align_symbols(tensors, symbols, BLANK, torch_library("cpu"))
    for path, other in zip(found, expected, strict=True):
        assert (path is None) == (other is None)
        if path is not None and other is not None:
            assert path.starts.tobytes() == other.starts.tobytes()
            assert path.ends.tobytes() == other.ends.tobytes()
            assert path.scores.tobytes() == other.scores.tobytes()


def test_no_step_of_the_search_leaves_the_device_or_waits_for_it() -> None:
    """torch's device `meta` has shapes and no numbers, and takes no tensor of another device."""
    library = torch_library("meta")
    scores, blanks = library.zeros((50, 3, 7)), library.zeros((50, 3))
    of_each = library.zeros(3, dtype=torch.int64)
    found = _best_paths(scores, blanks, of_each, of_each, library)
    assert [tuple(one.shape) for one in found] == [(50, 3), (50, 3), (3,), (3,)]
    assert {one.device.type for one in found} == {"meta"}
    wild = _symbol_scores(library.zeros((50, 9)), np.array([1, WILDCARD, 3]), BLANK, library)
    assert (wild.device.type, wild.dtype) == ("meta", torch.float32)


@settings(deadline=None)
@given(windows())
def test_a_window_has_the_path_of_whisperx(window: Window) -> None:
    alignment: Any = pytest.importorskip("whisperx.alignment")
    emission, symbols = torch.from_numpy(window[0]), window[1].tolist()
    found = align_symbols([window[0]], [window[1]], BLANK)[0]
    if not symbols:
        assert found is None
        return
    trellis = alignment.get_trellis(emission, symbols, BLANK)
    points = alignment.backtrack(trellis, emission, symbols, BLANK)
    if points is None:
        assert found is None
        return
    merged = alignment.merge_repeats(points, ["x"] * len(symbols))
    assert_same(
        found,
        SymbolPath(
            np.asarray([part.start for part in merged]),
            np.asarray([part.end for part in merged]),
            np.asarray([part.score for part in merged]),
        ),
    )


def test_a_long_window_s_scores_are_whisperx_to_the_last_bit() -> None:
    alignment: Any = pytest.importorskip("whisperx.alignment")
    dice = np.random.default_rng(1)
    logits = dice.normal(size=(1500, 30))
    logits[:1400, BLANK] += 4  # silence first, so that all of it is added up
    emission = log_softmax(logits)
    symbols = dice.integers(1, 30, size=5)
    trellis = alignment.get_trellis(torch.from_numpy(emission), symbols.tolist(), BLANK)
    scores, blanks = emission[:, None, symbols], emission[:, None, BLANK]
    _, reached = _run_trellis(scores, blanks, np.array([5]), NUMPY)
    assert np.array_equal(reached[:, 0], trellis[:, -1].numpy())


@settings(deadline=None)
@given(windows(wild=True))
def test_a_wildcard_is_a_column_with_the_best_score_that_is_not_blank(window: Window) -> None:
    emission, symbols = window
    best = np.delete(emission, BLANK, axis=1).max(axis=1, keepdims=True)
    wider = np.hstack([emission, best])
    spelled = np.where(symbols == WILDCARD, wider.shape[1] - 1, symbols)
    assert_same(align_symbols([emission], [symbols], BLANK)[0], plain_path(wider, spelled))


def test_the_blank_may_be_any_column() -> None:
    emission = log_softmax([[9, 0, 0], [0, 0, 9], [0, 9, 0], [0, 0, 9]])
    path = align_symbols([emission], [np.array([0, 1])], blank=2)[0]
    assert path is not None
    assert (list(path.starts), list(path.ends)) == ([0, 2], [2, 3])


def test_one_symbol_in_one_frame() -> None:
    emission = log_softmax([[0.0, 0.0]])
    path = align_symbols([emission], [np.array([1])], BLANK)[0]
    assert path is not None
    assert (list(path.starts), list(path.ends)) == ([0], [1])
    assert path.scores == pytest.approx([0.5])


def test_no_symbols_and_more_symbols_than_frames_have_no_path() -> None:
    emission = log_softmax(np.zeros((3, 4)))
    some = [np.array([], dtype=np.intp), np.array([1, 2, 3, 1]), np.array([1, 2, 3])]
    found = align_symbols([emission] * 3, some, BLANK)
    assert [path is None for path in found] == [True, True, False]


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_emissions_that_are_no_numbers_have_no_path_and_harm_no_neighbour(kind: str) -> None:
    good = log_softmax(np.eye(4))
    broken = np.full((4, 4), np.nan, dtype=np.float32)
    library = NUMPY if kind == "numpy" else torch_library("cpu")
    both = [library.send(broken), library.send(good)]
    found = align_symbols(both, [np.array([1, 2])] * 2, BLANK, library)
    assert found[0] is None
    assert_same(found[1], plain_path(good, np.array([1, 2])))


def test_a_model_that_knows_only_the_blank_has_no_path_for_a_wildcard() -> None:
    emission = log_softmax(np.zeros((3, 1)))
    assert align_symbols([emission], [np.array([WILDCARD])], BLANK) == [None]


def test_no_windows_have_no_paths() -> None:
    assert align_symbols([], [], BLANK) == []

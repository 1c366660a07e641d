"""Find the most probable path of symbols through a window's frames, for many windows at once.

The recurrence is whisperX's (alignment.py, `get_trellis` and `backtrack`; it comes from
torchaudio's forced alignment tutorial): in each frame a window stays at its symbol, scored
with the blank, or moves to the next one, scored with that symbol. whisperX computes it cell
by cell; here one step of Python does a frame of a whole batch. Its condition that the last
symbols need the last frames is left out: such cells lie on no path to the end. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu_worker.alignment.characters import WILDCARD

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]
_AT_ONCE = 16  # windows in one pass: enough to hide Python's part, few enough for the cache


@dataclass(frozen=True, slots=True)
class SymbolPath:
    """The frames in which each symbol of a window lies; arrays of shape (symbols,)."""

    starts: Indices  # frame of each symbol
    ends: Indices  # the next one's start, so at least one frame later
    scores: NDArray[np.float64]  # mean probability of the path through those frames


def align_symbols(
    emissions: Sequence[Floats], symbols: Sequence[Indices], blank: int
) -> list[SymbolPath | None]:
    """Return the best path of each window, or None where its symbols do not fit into its frames.

    `emissions` holds log probabilities of shape (frames, columns) for each window, `symbols`
    the columns of its text, WILDCARD for the best column that is not blank.
    """
    paths: list[SymbolPath | None] = [None] * len(emissions)
    fitting = [index for index, row in enumerate(symbols) if 0 < len(row) <= len(emissions[index])]
    fitting.sort(key=lambda index: len(emissions[index]))  # windows of a pass are padded
    for first in range(0, len(fitting), _AT_ONCE):
        batch = fitting[first : first + _AT_ONCE]
        found = _align_batch([emissions[i] for i in batch], [symbols[i] for i in batch], blank)
        for index, path in zip(batch, found, strict=True):
            paths[index] = path
    return paths


def _align_batch(
    emissions: Sequence[Floats], symbols: Sequence[Indices], blank: int
) -> list[SymbolPath | None]:
    counts = np.array([len(row) for row in symbols])
    frames = np.array([len(emission) for emission in emissions])
    scores = np.zeros((frames.max(), len(symbols), counts.max()), dtype=np.float32)
    blanks = np.zeros((frames.max(), len(symbols)), dtype=np.float32)
    for window, (emission, row) in enumerate(zip(emissions, symbols, strict=True)):
        scores[: len(emission), window, : len(row)] = _symbol_scores(emission, row, blank)
        blanks[: len(emission), window] = emission[:, blank]
    moved, reached = _run_trellis(scores, blanks, counts)
    reached[np.arange(len(reached))[:, None] > frames] = -np.inf
    ends = reached.argmax(axis=0)  # the first one, if several are equal
    moves = _walk_back(moved, counts, ends)
    return [
        _path(scores[:, window, :count], blanks[:, window], np.flatnonzero(moves[:, window]), end)
        if np.isfinite(reached[end, window])
        else None
        for window, (count, end) in enumerate(zip(counts, ends, strict=True))
    ]


def _symbol_scores(emission: Floats, row: Indices, blank: int) -> Floats:
    """Return the log probability of each symbol of `row` in each frame, shape (frames, symbols)."""
    scores: Floats = emission[:, np.maximum(row, 0)]
    wild = row == WILDCARD
    if wild.any():
        others = np.delete(emission, blank, axis=1).max(axis=1)
        scores[:, wild] = others[:, None]
    return scores


def _run_trellis(
    scores: Floats, blanks: Floats, counts: Indices
) -> tuple[NDArray[np.bool_], Floats]:
    """Compute the scores of all states, frame by frame.

    Return for each frame whether entering a symbol is better than staying at it, shape (frames,
    windows, 1 + symbols), never for the state before the first symbol; and the score of having
    reached a window's last symbol after so many frames, shape (1 + frames, windows).
    """
    frames, windows, longest = scores.shape
    index = np.arange(windows)
    moved = np.zeros((frames, windows, longest + 1), dtype=np.bool_)
    reached = np.full((frames + 1, windows), -np.inf, dtype=np.float32)
    # Added up in double precision, as torch does it: ties between paths break the same way.
    before = np.cumsum(blanks, axis=0, dtype=np.float64).astype(np.float32)
    state = np.full((windows, longest + 1), -np.inf, dtype=np.float32)
    state[:, 0] = 0.0
    stayed, entered = np.empty_like(scores[0]), np.empty_like(scores[0])
    for frame in range(frames):
        np.add(state[:, 1:], blanks[frame, :, None], out=stayed)
        np.add(state[:, :-1], scores[frame], out=entered)
        np.greater(entered, stayed, out=moved[frame, :, 1:])
        np.maximum(stayed, entered, out=state[:, 1:])
        state[:, 0] = before[frame]
        reached[frame + 1] = state[index, counts]
    return moved, reached


def _walk_back(moved: NDArray[np.bool_], counts: Indices, ends: Indices) -> NDArray[np.bool_]:
    """Return whether the best path enters a symbol in a frame, shape (frames, windows).

    Changes `moved`: it clears the frames behind each window's end.
    """
    frames, windows, states = moved.shape
    for window, end in enumerate(ends):
        moved[end:, window] = False
    flat = moved.reshape(frames, windows * states)
    place = np.arange(windows) * states + counts
    moves = np.empty((frames, windows), dtype=np.bool_)
    for frame in range(frames - 1, -1, -1):
        flat[frame].take(place, out=moves[frame])
        place -= moves[frame]
    return moves


def _path(scores: Floats, blanks: Floats, starts: Indices, end: int) -> SymbolPath:
    """Make the path that enters its symbols in the frames `starts` and ends before `end`."""
    ends = np.append(starts[1:], end)
    first = np.exp(scores[starts, np.arange(len(starts))], dtype=np.float64)
    staying = np.concatenate([[0.0], np.cumsum(np.exp(blanks[:end]), dtype=np.float64)])
    total = first + staying[ends] - staying[starts + 1]
    return SymbolPath(starts, ends, total / (ends - starts))

"""Find the most probable path of symbols through a window's frames, for many windows at once.

The recurrence is whisperX's (alignment.py, `get_trellis` and `backtrack`; it comes from
torchaudio's forced alignment tutorial): in each frame a window stays at its symbol, scored
with the blank, or moves to the next one, scored with that symbol. whisperX computes it cell
by cell; here one step of Python does a frame of a whole batch. Its condition that the last
symbols need the last frames is left out: such cells lie on no path to the end.

`emissions` are arrays of numpy, or tensors of torch on the device where a model left them: then
all of it happens there, and of each frame only whether a symbol begins and two scores come to the
host. Both libraries have the functions that are used here under the same names, so the rules are
written once (`Library`). Sums and comparisons of float32 are equal to the bit, so paths are the
same. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_worker.alignment.characters import WILDCARD

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]
Array = Any  # of the library in use


@dataclass(frozen=True, slots=True)
class Library:
    """What computes arrays, and where."""

    functions: Any  # numpy or torch
    zeros: Callable[..., Array]
    arange: Callable[[int], Array]
    send: Callable[[NDArray[Any]], Array]  # an array of numpy to where the emissions are
    fetch: Callable[[Array], NDArray[Any]]
    windows_at_once: int  # in one pass


# Enough to hide Python's part, few enough for the cache.
NUMPY = Library(np, np.zeros, np.arange, np.asarray, np.asarray, windows_at_once=16)
_FRAMES_AT_ONCE = 16  # of a pass, whose scores are kept and compared at once; they fit the cache


def torch_library(device: str) -> Library:
    """Return torch on a device. There a pass takes about as long for one window as for many."""
    import torch  # late: a worker without torch imports this module too

    return Library(
        torch,
        partial(torch.zeros, device=device),
        partial(torch.arange, device=device),
        lambda array: torch.from_numpy(array).to(device),
        lambda tensor: tensor.cpu().numpy(),
        windows_at_once=64,
    )


@dataclass(frozen=True, slots=True)
class SymbolPath:
    """The frames in which each symbol of a window lies; arrays of shape (symbols,)."""

    starts: Indices  # frame of each symbol
    ends: Indices  # the next one's start, so at least one frame later
    scores: NDArray[np.float64]  # mean probability of the path through those frames


def align_symbols(
    emissions: Sequence[Array], symbols: Sequence[Indices], blank: int, library: Library = NUMPY
) -> list[SymbolPath | None]:
    """Return the best path of each window, or None where its symbols do not fit into its frames.

    `emissions` holds log probabilities of shape (frames, columns) for each window, `symbols`
    the columns of its text, WILDCARD for the best column that is not blank.
    """
    paths: list[SymbolPath | None] = [None] * len(emissions)
    fitting = [index for index, row in enumerate(symbols) if 0 < len(row) <= len(emissions[index])]
    fitting.sort(key=lambda index: len(emissions[index]))  # windows of a pass are padded
    for first in range(0, len(fitting), library.windows_at_once):
        batch = fitting[first : first + library.windows_at_once]
        found = _align_batch(
            [emissions[index] for index in batch], [symbols[index] for index in batch],
            blank, library,
        )  # fmt: skip
        for index, path in zip(batch, found, strict=True):
            paths[index] = path
    return paths


def _align_batch(
    emissions: Sequence[Array], symbols: Sequence[Indices], blank: int, library: Library
) -> list[SymbolPath | None]:
    counts = np.array([len(row) for row in symbols])
    frames = np.array([len(emission) for emission in emissions])
    float32 = library.functions.float32
    scores = library.zeros((int(frames.max()), len(counts), int(counts.max())), dtype=float32)
    blanks = library.zeros((int(frames.max()), len(counts)), dtype=float32)
    for window, (emission, row) in enumerate(zip(emissions, symbols, strict=True)):
        scores[: len(emission), window, : len(row)] = _symbol_scores(emission, row, blank, library)
        blanks[: len(emission), window] = emission[:, blank]
    found = _best_paths(scores, blanks, library.send(counts), library.send(frames), library)
    begins, first, ends, totals, staying = map(library.fetch, (*found, blanks))
    return [
        _path(first[:, window], staying[:, window], np.flatnonzero(begins[:, window]), end)
        if np.isfinite(totals[window])
        else None
        for window, end in enumerate(ends)
    ]


def _symbol_scores(emission: Array, row: Indices, blank: int, library: Library) -> Array:
    """Return the log probability of each symbol of `row` in each frame, shape (frames, symbols)."""
    scores = emission[:, library.send(np.maximum(row, 0))]
    wild = np.flatnonzero(row == WILDCARD)
    if len(wild):
        is_blank = library.arange(emission.shape[1]) == blank
        others = library.functions.where(is_blank, -np.inf, emission)
        scores[:, library.send(wild)] = library.functions.amax(others, axis=1)[:, None]
    return scores


def _best_paths(
    scores: Array, blanks: Array, counts: Array, frames: Array, library: Library
) -> tuple[Array, Array, Array, Array]:
    """Find the best path of each window of a batch.

    Return whether a symbol begins in a frame, and the score of the symbol that is said in it, both
    of shape (frames, windows); the frame behind each path's end, and the path's score.
    """
    functions = library.functions
    moved, reached = _run_trellis(scores, blanks, counts, library)
    steps = library.arange(len(reached))[:, None]
    reached = functions.where(steps > frames, -np.inf, reached)
    ends = functions.argmax(reached, axis=0)  # the first one, if several are equal
    index = library.arange(len(counts))
    moved[:, index, counts] &= steps[:-1] < ends  # behind its end a window stays at the last one
    begins = _walk_back(moved, counts, library)
    symbols = functions.clip(functions.cumsum(begins, axis=0) - 1, 0, None)
    return begins, scores[steps[:-1], index, symbols], ends, reached[ends, index]


def _run_trellis(
    scores: Array, blanks: Array, counts: Array, library: Library
) -> tuple[Array, Array]:
    """Compute the scores of all states, frame by frame.

    Return for each frame whether entering a symbol is better than staying at it, shape (frames,
    windows, 1 + symbols), never for the state before the first symbol; and the score of having
    reached a window's last symbol after so many frames, shape (1 + frames, windows).
    """
    functions = library.functions
    frames, windows, longest = scores.shape
    index = library.arange(windows)
    moved = library.zeros((frames, windows, longest + 1), dtype=bool)
    reached = library.zeros((frames + 1, windows), dtype=functions.float32) - np.inf
    # Added up in double precision, as torch does it: ties between paths break the same way.
    before = functions.cumsum(blanks, axis=0, dtype=functions.float64)
    # The scores of a few frames, and of the one before them; of that comes what the next is from.
    states = library.zeros((_FRAMES_AT_ONCE + 1, windows, longest + 1), dtype=functions.float32)
    states[0, :, 1:] = -np.inf
    stayed = library.zeros((_FRAMES_AT_ONCE, windows, longest), dtype=functions.float32)
    entered = functions.empty_like(stayed)
    steps = list(
        zip(
            states[:-1, :, 1:], states[:-1, :, :-1], states[1:, :, 1:], stayed, entered,
            strict=True,
        )
    )  # fmt: skip
    add, maximum = functions.add, functions.maximum
    for first in range(0, frames, _FRAMES_AT_ONCE):
        block = slice(first, first + _FRAMES_AT_ONCE)
        count = min(_FRAMES_AT_ONCE, frames - first)
        states[1 : count + 1, :, 0] = before[block]
        for (state, previous, best, stay, enter), blank, score in zip(
            steps[:count], blanks[block, :, None], scores[block], strict=True
        ):
            add(state, blank, out=stay)
            add(previous, score, out=enter)
            maximum(stay, enter, out=best)
        functions.greater(entered[:count], stayed[:count], out=moved[block, :, 1:])
        reached[first + 1 : first + count + 1] = states[1 : count + 1, index, counts]
        states[0] = states[count]
    return moved, reached


def _walk_back(moved: Array, counts: Array, library: Library) -> Array:
    """Return whether the best path enters a symbol in a frame, shape (frames, windows), int8."""
    functions = library.functions
    frames, windows, states = moved.shape
    place = library.arange(windows) * states + counts
    begins = library.zeros((frames, windows), dtype=functions.int8)
    flat = moved.view(functions.int8).reshape(frames, windows * states)
    take = functions.take
    for row, begin in zip(reversed([*flat]), reversed([*begins]), strict=True):
        take(row, place, out=begin)
        place -= begin
    return begins


def _path(scores: Floats, blanks: Floats, starts: Indices, end: int) -> SymbolPath:
    """Make the path that enters its symbols in the frames `starts` and ends before `end`."""
    ends = np.append(starts[1:], end)
    first = np.exp(scores[starts], dtype=np.float64)
    staying = np.concatenate([[0.0], np.cumsum(np.exp(blanks[:end]), dtype=np.float64)])
    total = first + staying[ends] - staying[starts + 1]
    return SymbolPath(starts, ends, total / (ends - starts))

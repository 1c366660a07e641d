"""One chunk's words to their exact times, window by window.

Takes what was heard and gives the same words in the same order, timed anew and cut
into lines anew. Knows nothing of how an aligner works.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gpu_worker.alignment import Aligner, SpokenWindow
from gpu_worker.alignment.characters import LANGUAGES_WITHOUT_SPACES
from gpu_worker.batching import run_batches
from gpu_worker.engines import Audio
from gpu_worker.heard import ChunkTranscript, HeardWindow
from gpu_worker.segmentation import Stretch, place_words, split_lines
from gpu_worker.transcript import SAMPLE_RATE, Segment, Word
from gpu_worker.transcription import SCORE_DIGITS, TIME_DIGITS

_SPACED = re.compile(r"(\S+)(\s*)")
_UNSPACED = re.compile(r"(\S)(\s*)")  # each character is a word


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word as written, and what stands between it and the next one."""

    word: str
    gap: str


def align_chunk(
    aligner: Aligner,
    audio: Audio,
    heard: ChunkTranscript,
    *,
    first_sample: int = 0,
    language: str = "",
    batch_size: int = 16,
    before_batch: Callable[[], None] = lambda: None,
) -> ChunkTranscript:
    """Time every word of `heard` by its sound, in seconds of the file.

    `audio` is the chunk's, `first_sample` its true position in the file. `language` says how
    text without words is cut into words. Raises OutOfMemory, and whatever `before_batch` and
    the aligner raise.
    """
    pieces = [_pieces(window.segments, language) for window in heard.windows]
    spoken = [index for index, found in enumerate(pieces) if found]
    timed = run_batches(
        spoken,
        batch_size,
        lambda batch: aligner.align(
            [
                SpokenWindow(
                    _cut(audio, heard.windows[index], first_sample),
                    tuple(piece.word for piece in pieces[index]),
                )
                for index in batch
            ]
        ),
        before_batch=before_batch,
    )
    windows = list(heard.windows)
    for index, words in zip(spoken, timed, strict=True):
        windows[index] = _retimed(windows[index], pieces[index], words)
    return ChunkTranscript(tuple(windows))


def _pieces(segments: Sequence[Segment], language: str) -> list[_Piece]:
    spaced = language not in LANGUAGES_WITHOUT_SPACES
    pieces: list[_Piece] = []
    for segment in segments:
        if segment.words:
            pieces += [_Piece(word.word, " ") for word in segment.words]
            continue
        found = (_SPACED if spaced else _UNSPACED).findall(segment.text)
        pieces += [_Piece(word, gap or " " * spaced) for word, gap in found]
    return pieces


def _cut(audio: Audio, window: HeardWindow, first_sample: int) -> Audio:
    return np.concatenate(
        [audio[start - first_sample : end - first_sample] for start, end in window.spans]
    )


def _retimed(window: HeardWindow, pieces: Sequence[_Piece], words: tuple[Word, ...]) -> HeardWindow:
    lines: list[Segment] = []
    first = 0
    for line in split_lines(place_words(words, _stretches(window))):
        own = pieces[first : first + len(line)]
        first += len(line)
        text = "".join(piece.word + piece.gap for piece in own).strip()
        lines.append(_line(window.segments[0], text, line))
    return replace(window, segments=tuple(lines))


def _stretches(window: HeardWindow) -> list[Stretch]:
    stretches: list[Stretch] = []
    offset = 0
    for start, end in window.spans:
        length = end - start
        stretches.append(
            Stretch(
                offset / SAMPLE_RATE,
                (offset + length) / SAMPLE_RATE,
                shift=(start - offset) / SAMPLE_RATE,
            )
        )
        offset += length
    return stretches


def _line(pattern: Segment, text: str, line: tuple[Word, ...]) -> Segment:
    """A line with the figures of its window, which all of the window's segments share."""
    words = tuple(
        replace(
            word,
            start=round(word.start, TIME_DIGITS),
            end=round(word.end, TIME_DIGITS),
            score=round(min(max(word.score, 0.0), 1.0), SCORE_DIGITS),
        )
        for word in line
    )
    return replace(pattern, start=words[0].start, end=words[-1].end, text=text, words=words)

"""Find the exact times of one chunk's words, window by window.

Takes a chunk's transcript and returns the same segments and words in the same order, with new
times. Works with any aligner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gpu_worker.alignment import Aligner, SpokenWindow
from gpu_worker.audio.samples import Audio
from gpu_worker.devices.batching import run_batches
from gpu_worker.transcript import ChunkTranscript, HeardWindow, Segment, Word
from gpu_worker.transcription.decoded import rounded
from gpu_worker.transcription.lines import split_lines
from gpu_worker.transcription.windows import Window
from gpu_worker.words import split_words


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
    """Time every word of `heard` by its sound, in seconds from the start of the file.

    `audio` is the chunk's, shape (samples,); `first_sample` its position in the file.
    `language` says how a segment without words is cut into lines. Raises OutOfMemory, and what
    `before_batch` and the aligner raise.
    """
    words = [_words(window) for window in heard.windows]
    spoken = [index for index, found in enumerate(words) if found]
    timed = run_batches(
        spoken,
        batch_size,
        lambda batch: aligner.align(
            [
                SpokenWindow(
                    Window(heard.windows[index].spans).moved(-first_sample).cut(audio),
                    tuple(words[index]),
                )
                for index in batch
            ]
        ),
        before_batch=before_batch,
    )
    windows = list(heard.windows)
    for index, found in zip(spoken, timed, strict=True):
        windows[index] = _retimed(windows[index], found, language)
    return replace(heard, windows=tuple(windows))


def _words(window: HeardWindow) -> list[str]:
    return [word for segment in window.segments for word in _segment_words(segment)]


def _segment_words(segment: Segment) -> list[str]:
    if segment.words:
        return [word.word for word in segment.words]
    return [segment.text[start:end] for start, end in split_words(segment.text)]


def _retimed(window: HeardWindow, words: tuple[Word, ...], language: str) -> HeardWindow:
    """Give a window's segments the new times; cut a segment that had no words into lines."""
    placed = iter(map(rounded, Window(window.spans).place(words)))
    lines: list[Segment] = []
    for segment in window.segments:
        own = tuple(next(placed) for _ in _segment_words(segment))
        if own:
            line = replace(segment, start=own[0].start, end=own[-1].end, words=own)
            lines += [line] if segment.words else split_lines(line, language)
        else:
            lines.append(segment)
    return replace(window, segments=tuple(lines))

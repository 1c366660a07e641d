"""Find the exact times of one chunk's words, window by window.

Takes a chunk's transcript and returns the same segments and words in the same order, with new
times. Works with any aligner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gpu_worker.alignment import Aligner, SpokenWindow
from gpu_worker.audio.samples import Audio
from gpu_worker.devices.batcher import Batcher
from gpu_worker.devices.requests import ANY_STANDING, Standing
from gpu_worker.devices.turns import NO_TURNS, Turns
from gpu_worker.heard import ChunkTranscript, HeardWindow
from gpu_worker.transcript import Segment, Word
from gpu_worker.transcription.alternatives import with_own_alternatives
from gpu_worker.transcription.decoded import rounded
from gpu_worker.transcription.lines import split_lines
from gpu_worker.transcription.windows import Window
from gpu_worker.words import split_words

# Heard at once on a CPU: more save nothing there (docs/speed.md), and memory that is not there is
# not refused but ends the process.
CPU_WINDOWS = 1

# Its only key is the aligner's name: any windows of a model may share a batch.
AlignBatcher = Batcher[str, SpokenWindow, Any]


def align_chunk(
    aligner: Aligner,
    audio: Audio,
    heard: ChunkTranscript,
    *,
    first_sample: int = 0,
    language: str = "",
    batch_size: int = 16,
    before_batch: Callable[[], None] = lambda: None,
    batcher: AlignBatcher | None = None,
    turns: Turns = NO_TURNS,
    standing: Standing = ANY_STANDING,
) -> ChunkTranscript:
    """Time every word of `heard` by its sound, in seconds from the start of the file.

    `audio` is the chunk's, shape (samples,); `first_sample` its position in the file.
    `language` says how a segment without words is cut into lines. `batcher` is the aligner's: with
    it the chunk's windows share batches with those of other chunks, in the order of `standing`, and
    `turns` hears whose turn it is. Raises OutOfMemory, and what `before_batch` and the aligner
    raise.
    """
    batcher = batcher or Batcher(lambda items, _: aligner.hear(items))
    places: list[int] = []
    spoken: list[SpokenWindow] = []
    for index, window in enumerate(heard.windows):
        if words := tuple(_words(window)):
            places.append(index)
            cut = Window(window.spans).moved(-first_sample).cut(audio)
            spoken.append(SpokenWindow(cut, words))
    order = sorted(range(len(spoken)), key=lambda index: len(spoken[index].audio))
    spoken = [spoken[index] for index in order]  # so a batch is of windows of about one length
    found = batcher.run(
        spoken,
        aligner.name,
        min(batch_size, CPU_WINDOWS) if aligner.device == "cpu" else batch_size,
        before_batch=before_batch,
        turns=turns,
        standing=standing,
    )
    windows = list(heard.windows)
    for index, timed in zip(order, aligner.time(spoken, found), strict=True):
        windows[places[index]] = _retimed(windows[places[index]], timed, language)
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
        if segment.words:  # the doubt is the engine's, which the aligner knows nothing of
            pairs = zip(own, segment.words, strict=True)
            own = tuple(replace(word, doubt=before.doubt) for word, before in pairs)
        if own:
            line = replace(segment, start=own[0].start, end=own[-1].end, words=own)
            lines += [line] if segment.words else with_own_alternatives(split_lines(line, language))
        else:
            lines.append(segment)
    return replace(window, segments=tuple(lines))

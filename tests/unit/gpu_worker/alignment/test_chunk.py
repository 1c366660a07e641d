"""A chunk keeps its words; its times become those of the aligner, in the file's time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_worker.alignment import Aligner, AlignerRequest, SpokenWindow
from gpu_worker.alignment.chunk import AlignBatcher, align_chunk
from gpu_worker.alignment.fake import FakeAligner
from gpu_worker.errors import OutOfMemory
from gpu_worker.heard import ChunkTranscript, HeardWindow
from gpu_worker.loaded import load_aligner
from gpu_worker.pcm import SAMPLE_RATE, Span
from gpu_worker.transcript import Segment, TranscriptWarning, Word
from gpu_worker.words import split_words
from tests.eventually import eventually
from tests.inputs.speech import recording

FIRST = 5 * SAMPLE_RATE  # the chunk's place in the file
AUDIO = np.arange(10 * SAMPLE_RATE, dtype=np.float32)  # each sample says which one it is


def seconds(*edges: float) -> tuple[Span, ...]:
    """Spans in samples of the file, from seconds of the file."""
    samples = [round(edge * SAMPLE_RATE) for edge in edges]
    return tuple(map(Span, samples[::2], samples[1::2]))


def segment(text: str, *, worded: bool = True) -> Segment:
    places = split_words(text) if worded else []
    words = tuple(Word(text[start:end], 5.0, 5.0, 0.1) for start, end in places)
    return Segment(5.0, 6.0, text, words, -0.3, 0.2, 1.1, 0.4)


def chunk(*windows: HeardWindow) -> ChunkTranscript:
    return ChunkTranscript(windows)


class Scripted:
    """Gives the times that the test names, and keeps what it was given."""

    name, device = "scripted", "cpu"

    def __init__(self, *times: tuple[float, float], score: float = 0.5) -> None:
        self._times, self._score = times, score
        self.seen: list[SpokenWindow] = []

    def hear(self, windows: Sequence[SpokenWindow]) -> list[None]:
        self.seen += windows
        return [None] * len(windows)

    def time(
        self, windows: Sequence[SpokenWindow], heard: Sequence[None]
    ) -> tuple[tuple[Word, ...], ...]:
        return tuple(
            tuple(
                Word(word, start, end, self._score)
                for word, (start, end) in zip(window.words, self._times, strict=True)
            )
            for window in windows
        )


def align(aligner: Aligner, heard: ChunkTranscript, language: str = "en") -> ChunkTranscript:
    return align_chunk(aligner, AUDIO, heard, first_sample=FIRST, language=language)


def test_a_window_is_given_its_own_speech_and_words() -> None:
    aligner = Scripted((0.0, 0.4), (0.5, 0.9))
    align(aligner, chunk(HeardWindow(seconds(6, 6.5, 8, 8.5), (segment("one two"),))))
    [window] = aligner.seen
    assert window.words == ("one", "two")
    half = SAMPLE_RATE // 2
    assert window.audio[[0, half - 1, half, -1]].tolist() == [
        SAMPLE_RATE,
        SAMPLE_RATE + half - 1,
        3 * SAMPLE_RATE,
        3 * SAMPLE_RATE + half - 1,
    ]


def test_times_are_of_the_file_and_lines_stay_as_they_are() -> None:
    aligner = Scripted((0.1, 0.4), (0.6, 0.9))
    heard = chunk(HeardWindow(seconds(6, 6.5, 8, 8.5), (segment("one"), segment("two"))))
    found = align(aligner, heard).segments
    assert [(one.start, one.end, one.text) for one in found] == [
        (6.1, 6.4, "one"),
        (8.1, 8.4, "two"),
    ]
    assert [one.words for one in found] == [
        (Word("one", 6.1, 6.4, 0.5),),
        (Word("two", 8.1, 8.4, 0.5),),
    ]


def test_a_line_keeps_its_text_to_the_character() -> None:
    text = "It's  $3.5 (AT&T) – « oui ! »"
    words = [text[start:end] for start, end in split_words(text)]
    line = replace(segment(text), words=tuple(Word(word, 5.0, 5.0, 0.1) for word in words))
    [found] = align(FakeAligner(), chunk(HeardWindow(seconds(6, 7), (line,)))).segments
    assert found.text == text
    assert [word.word for word in found.words] == words


def test_the_chunk_s_warnings_stay_with_it() -> None:
    told = TranscriptWarning("speech_without_words", "Speech.", 6.0, 7.0)
    heard = ChunkTranscript((HeardWindow(seconds(6, 7), (segment("one"),)),), (told,))
    assert align(FakeAligner(), heard).warnings == (told,)


def test_the_window_s_figures_stay_on_its_lines() -> None:
    aligner = Scripted((0.0, 0.1), (0.8, 0.9))
    before = segment("One. Two.", worded=False)
    found = align(aligner, chunk(HeardWindow(seconds(6, 7), (before,)))).segments
    assert [one.text for one in found] == ["One.", "Two."]
    for one in found:
        assert replace(one, start=5.0, end=6.0, text=before.text, words=()) == before


def test_times_and_scores_are_rounded_and_scores_bounded() -> None:
    heard = chunk(HeardWindow(seconds(6, 7), (segment("one"),)))
    [one] = align(Scripted((0.12345, 0.98765), score=1 + 1e-7), heard).segments
    assert one.words == (Word("one", 6.123, 6.988, 1.0),)
    [one] = align(Scripted((0.12345, 0.98765), score=0.123456), heard).segments
    assert one.words[0].score == 0.1235
    assert (one.start, one.end) == (6.123, 6.988)


def test_a_guess_stays_flagged() -> None:
    class Guessing(FakeAligner):
        def time(
            self, windows: Sequence[SpokenWindow], heard: Sequence[None]
        ) -> tuple[tuple[Word, ...], ...]:
            return tuple(
                tuple(replace(word, interpolated=True) for word in words)
                for words in super().time(windows, heard)
            )

    found = align(Guessing(), chunk(HeardWindow(seconds(6, 7), (segment("one two"),))))
    assert [word.interpolated for one in found.segments for word in one.words] == [True, True]


def test_text_without_words_is_cut_into_words() -> None:
    window = HeardWindow(seconds(6, 7), (segment(" one  two ", worded=False),))
    [one] = align(FakeAligner(), chunk(window)).segments
    assert [word.word for word in one.words] == ["one", "two"]
    assert one.text == "one  two"
    both = HeardWindow(seconds(6, 7), (segment("a b", worded=False), segment("c", worded=False)))
    assert [one.text for one in align(FakeAligner(), chunk(both)).segments] == ["a b", "c"]


def test_text_of_a_language_without_spaces_is_cut_into_characters() -> None:
    window = HeardWindow(seconds(6, 7), (segment("我用 Python 写。你好", worded=False),))
    found = align(FakeAligner(), chunk(window), "zh").segments
    assert [one.text for one in found] == ["我用 Python 写。", "你好"]
    assert [word.word for word in found[1].words] == ["你", "好"]


def test_windows_without_words_stay_as_they_are() -> None:
    silent = HeardWindow(seconds(5, 6), ())
    blank = HeardWindow(seconds(6, 7), (segment("  ", worded=False),))
    heard = chunk(silent, HeardWindow(seconds(8, 9), (segment("one"),)), blank)
    aligner = Scripted((0.0, 0.5))
    found = align(aligner, heard)
    assert len(aligner.seen) == 1
    assert (found.windows[0], found.windows[2]) == (silent, blank)
    assert found.windows[1].segments[0].start == 8.0
    assert [window.spans for window in found.windows] == [window.spans for window in heard.windows]


def test_a_chunk_in_which_nothing_was_said_needs_no_aligner() -> None:
    aligner = Scripted()
    assert align(aligner, chunk()) == chunk()
    assert aligner.seen == []


def test_a_batch_that_does_not_fit_is_made_smaller() -> None:
    windows = [
        HeardWindow(seconds(5 + place, 6 + place), (segment(f"word{place}"),)) for place in range(5)
    ]
    whole = align(FakeAligner(), chunk(*windows))
    assert align(FakeAligner(largest_batch=2), chunk(*windows)) == whole
    with pytest.raises(OutOfMemory):
        align(FakeAligner(largest_batch=0), chunk(*windows))


def test_chunks_share_batches_and_each_gets_its_own_words() -> None:
    class Slow(FakeAligner):
        device = "cuda"  # more windows at once than on a CPU

        def hear(self, windows: Sequence[SpokenWindow]) -> list[None]:
            if not sizes:
                assert eventually(lambda: len(batcher._requests) == len(chunks))
            sizes.append(len(windows))
            return super().hear(windows)

    sizes: list[int] = []
    aligner = Slow()
    batcher = AlignBatcher(lambda windows, _: aligner.hear(windows))
    chunks = [
        chunk(
            *(
                HeardWindow(seconds(5, 6 + place / 2), (segment(f"w{number}x{place}"),))
                for place in (4, 0, 2)
            )
        )
        for number in range(6)
    ]

    def aligned(heard: ChunkTranscript) -> ChunkTranscript:
        return align_chunk(aligner, AUDIO, heard, first_sample=FIRST, batcher=batcher)

    with ThreadPoolExecutor(len(chunks)) as pool:
        together = list(pool.map(aligned, chunks))
    assert together == [align(FakeAligner(), heard) for heard in chunks]
    assert sum(sizes) == 18 and max(sizes) > 3


def test_the_work_can_be_stopped_between_two_batches() -> None:
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        align_chunk(
            FakeAligner(),
            AUDIO,
            chunk(HeardWindow(seconds(6, 7), (segment("one"),))),
            first_sample=FIRST,
            before_batch=stop,
        )


TEXTS = st.lists(st.text("ab.? ", max_size=12), max_size=3)


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=4), st.booleans(), st.sampled_from(("en", "zh")))
def test_no_word_is_lost_added_or_changed(
    texts: list[list[str]], worded: bool, language: str
) -> None:
    heard = chunk(
        *(
            HeardWindow(
                seconds(5 + 2 * place, 6 + 2 * place),
                tuple(segment(text, worded=worded) for text in window),
            )
            for place, window in enumerate(texts)
        )
    )
    found = align(FakeAligner(), heard, language)
    written = "".join("".join(one.text for one in heard.segments).split())
    assert "".join("".join(one.text for one in found.segments).split()) == written
    words = [word.word for one in found.segments for word in one.words]
    assert "".join("".join(words).split()) == written
    if worded:
        before = [word.word for one in heard.segments for word in one.words]
        assert [word.word for one in found.segments for word in one.words] == before


@pytest.mark.slow
def test_real_speech_is_timed_where_it_is_said() -> None:
    audio, said = recording(20, seed=2)
    windows = tuple(
        HeardWindow(seconds(5 + one.start, 5 + one.end), (segment(one.text, worded=False),))
        for one in said
    )
    aligner = load_aligner(AlignerRequest("ctc", "pico-align", "en", device="cpu"))
    found = align_chunk(aligner, audio, ChunkTranscript(windows), first_sample=FIRST, batch_size=3)
    for one, window in zip(said, found.windows, strict=True):
        words = [word for line in window.segments for word in line.words]
        assert [word.word for word in words] == one.text.split()
        assert 5 + one.start - 0.001 <= words[0].start
        assert words[-1].end <= 5 + one.end + 0.001

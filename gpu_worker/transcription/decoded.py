"""A window with its decoded text, and its conversion into segments of the file. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gpu_worker.audio.levels import frame_levels
from gpu_worker.audio.samples import Audio
from gpu_worker.doubt.word_doubt import doubted
from gpu_worker.heard import HeardWindow
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Alternative, Flag, Segment, Word
from gpu_worker.transcription.alternatives import in_place_of, with_own_alternatives
from gpu_worker.transcription.engines import DecodeOptions, WindowText
from gpu_worker.transcription.engines.fallback import is_silence, needs_fallback
from gpu_worker.transcription.lines import split_lines
from gpu_worker.transcription.second_tries import SCORE_DIGITS, Tried
from gpu_worker.transcription.windows import Window
from gpu_worker.words import word_places

TIME_DIGITS = 3  # milliseconds
NAMED_CHARACTERS = 80  # of a text that is dropped, in its warning


@dataclass(frozen=True, slots=True)
class DecodedWindow:
    """A window and its text; words have times in seconds from the window's start."""

    window: Window
    text: WindowText
    is_believed: bool
    alternatives: tuple[Alternative, ...] = ()  # texts of the window that were not taken
    flags: tuple[Flag, ...] = ()  # for each of its lines
    dropped: str = ""  # its text that was taken for invented, and why

    @classmethod
    def of(cls, window: Window, tried: Tried, options: DecodeOptions) -> DecodedWindow:
        """Make one of what was decoded; drop the text if the model takes the window for silence.

        A text that is taken for invented is dropped, too. `is_believed` is False for a text that
        should be decoded again, and without a text.
        """
        text, dropped = tried.text, ""
        if tried.invented and text.text:
            dropped = f"{text.text[:NAMED_CHARACTERS]!r} ({tried.invented})"
        if dropped or is_silence(text, options):
            text = replace(text, text="", words=())
        is_believed = bool(text.text) and not needs_fallback(text, options)
        return cls(window, text, is_believed, tried.alternatives, tried.flags, dropped)

    def part(self, first: int, end: int, words: slice) -> DecodedWindow | None:
        """Return the samples from `first` up to `end` with these words; None if either is empty."""
        window, kept = self.window.part(first, end), self.text.words[words]
        if window is None or not kept:
            return None
        begin, stop, _ = words.indices(len(self.text.words))
        places = word_places(self.text.text, [word.word for word in self.text.words])
        shift = first / SAMPLE_RATE
        moved = tuple(
            replace(word, start=max(0.0, word.start - shift), end=max(0.0, word.end - shift))
            for word in kept
        )
        text = self.text.text[places[begin][0] : places[stop - 1][1]]
        all_words = [word.word for word in self.text.words]
        return replace(
            self,
            window=window,
            text=replace(self.text, text=text, words=moved),
            alternatives=in_place_of(all_words, begin, stop, self.alternatives),
        )


def heard_window(
    audio: Audio, decoded: DecodedWindow, *, first_sample: int, language: str, with_words: bool
) -> HeardWindow:
    """Convert a decoded window into lines, with times in seconds from the start of the file.

    `audio` is the chunk's, shape (samples,); `first_sample` is its position in the file.
    `language` is that of the text, by whose rules it is cut into lines. Without `with_words` the
    lines have no words.
    """
    spans = decoded.window.spans
    return HeardWindow(
        decoded.window.moved(first_sample).spans,
        tuple(
            line if with_words else replace(line, words=())
            for line in _lines(decoded, first_sample, language)
        ),
        tuple(frame_levels(audio[span.start : span.end]) for span in spans),
    )


def _lines(decoded: DecodedWindow, first_sample: int, language: str) -> list[Segment]:
    window, text = decoded.window.moved(first_sample), decoded.text
    if not text.text:
        return []
    words = tuple(map(doubted, map(rounded, window.place(text.words))))
    start = words[0].start if words else window.spans[0].start / SAMPLE_RATE
    end = words[-1].end if words else window.spans[-1].end / SAMPLE_RATE
    whole = Segment(
        start=round(start, TIME_DIGITS),
        end=round(end, TIME_DIGITS),
        text=text.text,
        words=words,
        avg_logprob=round(text.avg_logprob, SCORE_DIGITS),
        no_speech_prob=round(text.no_speech_prob, SCORE_DIGITS),
        compression_ratio=round(text.compression_ratio, SCORE_DIGITS),
        temperature=text.temperature,
        language=window.language,
        flags=decoded.flags,
        alternatives=decoded.alternatives,
    )
    return with_own_alternatives(split_lines(whole, language)) if words else [whole]


def rounded(word: Word) -> Word:
    """Round a word's times to milliseconds and its score, clipped to 0..1, to 4 digits."""
    return replace(
        word,
        start=round(word.start, TIME_DIGITS),
        end=round(word.end, TIME_DIGITS),
        score=round(min(max(word.score, 0.0), 1.0), SCORE_DIGITS),
    )

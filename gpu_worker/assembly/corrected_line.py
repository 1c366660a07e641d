"""Give a line the text that a person wrote for it, and its words times. Pure.

Words that stay keep their times. Changed ones are placed between their neighbours by their
length, with `interpolated` set: their times are guesses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import accumulate, pairwise

from gpu_worker.transcript import Segment, Word
from gpu_worker.words import sounding_part, split_words

WRITTEN_SCORE = 1.0  # of a word that a person wrote


def confirmed(segment: Segment) -> Segment:
    """Return a line that a person has found right: without doubts."""
    words = tuple(replace(word, doubt=None) for word in segment.words)
    return replace(segment, words=words, flags=(), alternatives=())


def corrected(segment: Segment, text: str) -> Segment:
    """Return a line with another text; if it had words, with the words of that text.

    What the model heard is wrong then, so it does not stay as the spoken form of this text.
    """
    text = text.strip()
    texts = [text[start:end] for start, end in split_words(text)]
    words = tuple(_words(segment, texts)) if segment.words else ()
    return replace(confirmed(segment), text=text, words=words, spoken=None)


def _words(segment: Segment, texts: Sequence[str]) -> Iterator[Word]:
    old = segment.words
    matcher = SequenceMatcher(
        None, [_sound(word.word) for word in old], [_sound(text) for text in texts], autojunk=False
    )
    for what, first, last, start, end in matcher.get_opcodes():
        if what == "equal":
            pairs = zip(old[first:last], texts[start:end], strict=True)
            yield from (replace(word, word=text, doubt=None, spoken=None) for word, text in pairs)
        elif what != "delete":
            yield from _placed(segment, first, last, texts[start:end])


def _placed(segment: Segment, first: int, last: int, texts: Sequence[str]) -> Iterator[Word]:
    """Place words where those from `first` to before `last` were, or between them if none were."""
    old = segment.words
    if first < last:
        speaker, span = old[first].speaker, (old[first].start, old[last - 1].end)
    else:
        before = old[first - 1].end if first else segment.start
        behind = old[first].start if first < len(old) else segment.end
        near = old[max(first - 1, 0)]
        speaker, span = near.speaker, (before, max(before, behind))
    if len(texts) == last - first:  # one for one: each where the wrong one was
        times = [(word.start, word.end) for word in old[first:last]]
    else:
        times = list(_spread(span, [len(text) for text in texts]))
    for text, (start, end) in zip(texts, times, strict=True):
        yield Word(text, start, end, WRITTEN_SCORE, speaker, interpolated=True)


def _spread(span: tuple[float, float], lengths: Sequence[int]) -> Iterator[tuple[float, float]]:
    """Divide a span of seconds by these lengths."""
    start, end = span
    total = sum(lengths)
    edges = [start + (end - start) * done / total for done in accumulate(lengths, initial=0)]
    return pairwise(round(edge, 3) for edge in edges)


def _sound(word: str) -> str:
    """Return what is said of a word: other marks or capitals move no time."""
    start, end = sounding_part(word, (0, len(word)))
    return word[start:end].casefold()

"""Decode speech that a window's text passes over once more, as windows of its own.

A text may stop in the middle of a window, leave a stretch out, or be longer than the model has
room for. Each such place is decoded a second time and never a third, so the cost is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from gpu_worker.audio.samples import Audio
from gpu_worker.audio.speech import VadOptions
from gpu_worker.audio.vad import speech_spans
from gpu_worker.pcm import SAMPLE_RATE, Span
from gpu_worker.transcription.decoded import DecodedWindow
from gpu_worker.transcription.unheard import find_gaps
from gpu_worker.transcription.windows import Window, pack_windows

LEAST_SPEECH_SECONDS = 1.0  # in a gap, for a second look; less is a breath or a stray syllable
NOTICED_SPEECH_SECONDS = 2.0  # without words even then; the transcript gets a warning
CROWDED_WINDOW_SECONDS = 10.0  # a third of Whisper's window, for speech with too much text for it
_PAD_SAMPLES = SAMPLE_RATE // 5

Decode = Callable[[Sequence[Window]], list[DecodedWindow]]


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A part of a window that is decoded again."""

    first: int  # samples of the window
    end: int
    words: int  # of the window, before it
    speech: float  # seconds
    windows: tuple[Window, ...]  # that are decoded for it


def second_look(
    audio: Audio, decoded: Sequence[DecodedWindow], decode: Decode, vad: VadOptions | None
) -> tuple[list[DecodedWindow], list[Span]]:
    """Decode again the speech that has no words.

    Return all windows in order, with the new ones between the parts of the others, and the spans
    of speech that still have no words, in samples of the chunk. `audio` is the chunk's.
    """
    doubts = [_doubts(audio, one, vad) for one in decoded]
    again = iter(
        decode([window for found in doubts for doubt in found for window in doubt.windows])
    )
    shown: list[DecodedWindow] = []
    passed_over: list[Span] = []
    for one, found in zip(decoded, doubts, strict=True):
        answers = [(doubt, [next(again) for _ in doubt.windows]) for doubt in found]
        taken = [(doubt, texts) for doubt, texts in answers if any(t.is_believed for t in texts)]
        shown += _woven(one, taken)
        passed_over += _still_unheard(audio, one, answers, vad)
    return shown, passed_over


def _doubts(audio: Audio, one: DecodedWindow, vad: VadOptions | None) -> list[_Doubt]:
    samples = one.window.samples
    if not one.text.text:
        return []
    if not one.text.is_whole:
        return [_Doubt(0, samples, 0, samples / SAMPLE_RATE, _smaller_windows(audio, one, vad))]
    sound = one.window.cut(audio)
    found: list[_Doubt] = []
    for gap in find_gaps(one.text.words, samples / SAMPLE_RATE):
        first, end = round(gap.start * SAMPLE_RATE), round(gap.end * SAMPLE_RATE)
        spans = _speech(sound[first:end], vad)
        speech = _seconds(spans)
        if speech < LEAST_SPEECH_SECONDS:
            continue
        begin = max(first, first + spans[0].start - _PAD_SAMPLES)
        stop = min(end, first + spans[-1].end + _PAD_SAMPLES)
        window = one.window.part(begin, stop)
        found.append(_Doubt(begin, stop, gap.words, speech, (window,) if window else ()))
    return found


def _speech(sound: Audio, vad: VadOptions | None) -> tuple[Span, ...]:
    """Find the spans of speech, without the pads that windows have."""
    return speech_spans(sound, len(sound) / SAMPLE_RATE, replace(vad or VadOptions(), pad_ms=0))


def _seconds(spans: Sequence[Span]) -> float:
    return sum(span.samples for span in spans) / SAMPLE_RATE


def _smaller_windows(
    audio: Audio, one: DecodedWindow, vad: VadOptions | None
) -> tuple[Window, ...]:
    """Pack the window's speech into windows so small that the model has room for their text."""
    spans = speech_spans(one.window.cut(audio), CROWDED_WINDOW_SECONDS, vad)
    return tuple(
        replace(
            one.window,
            spans=tuple(
                chain.from_iterable(
                    part.spans
                    for span in packed.spans
                    if (part := one.window.part(span.start, span.end))
                )
            ),
        )
        for packed in pack_windows(spans, int(CROWDED_WINDOW_SECONDS * SAMPLE_RATE))
    )


def _woven(
    one: DecodedWindow, taken: Sequence[tuple[_Doubt, list[DecodedWindow]]]
) -> list[DecodedWindow]:
    """Return the parts of the window, with the new windows between them.

    A window whose text had no room in the model is replaced by the new ones.
    """
    if not taken:
        return [one]
    if not one.text.is_whole:
        return [text for _, texts in taken for text in texts]
    shown: list[DecodedWindow | None] = []
    first = words = 0
    for doubt, texts in taken:
        shown += [one.part(first, doubt.first, slice(words, doubt.words)), *texts]
        first, words = doubt.end, doubt.words
    shown.append(one.part(first, one.window.samples, slice(words, None)))
    return [part for part in shown if part]


def _still_unheard(
    audio: Audio,
    one: DecodedWindow,
    answers: Sequence[tuple[_Doubt, list[DecodedWindow]]],
    vad: VadOptions | None,
) -> list[Span]:
    """Return the spans of a window's speech that have no words after the second look."""
    found: list[Span] = []
    speech = () if one.text.text or one.dropped else _speech(one.window.cut(audio), vad)
    if _seconds(speech) >= NOTICED_SPEECH_SECONDS:
        found.append(Span(one.window.spans[0].start, one.window.spans[-1].end))
    for doubt, texts in answers:
        places = [(one, doubt)] if not any(text.is_believed for text in texts) else [
            (text, left) for text in texts for left in _doubts(audio, text, vad)
        ]  # fmt: skip
        for text, left in places:
            part = text.window.part(left.first, left.end)
            if part and left.speech >= NOTICED_SPEECH_SECONDS:
                found.append(Span(part.spans[0].start, part.spans[-1].end))
    return found

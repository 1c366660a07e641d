"""Merge the segments of all chunks into one transcript, with flags and a review list.

Chunks do not overlap, so merging is concatenation in order; nothing is guessed at the cuts.
All times are clipped to the end of the file: models hear in windows and frames, which the end of
a file fills only in part, so the times that they find may lie behind it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gpu_worker.assembly.full_stops import without_false_stops
from gpu_worker.assembly.speakers import assign_speakers
from gpu_worker.diarization import Diarization
from gpu_worker.doubt.review import flagged, review
from gpu_worker.doubt.signs import Surroundings
from gpu_worker.transcript import Segment, Transcript, TranscriptWarning, Turn


@dataclass(frozen=True, slots=True)
class MissingSpan:
    """A span of the file that was not transcribed, and why; times in seconds."""

    start: float
    end: float
    code: str
    message: str


def merge_chunks(
    chunks: Sequence[Iterable[Segment]],
    *,
    language: str | None,
    duration: float,
    missing: Sequence[MissingSpan] = (),
    warnings: Sequence[TranscriptWarning] = (),
    diarization: Diarization | None = None,
    turns: Sequence[Turn] = (),
    with_words: bool = True,
    is_aligned: bool = False,
    written: str | None = None,
    speech_seconds: float = 0.0,
) -> Transcript:
    """Merge the segments of all chunks, given in the order of the file, into one transcript.

    Where segments name their languages, the transcript's is that of most speech, and only segments
    in another one keep theirs; else it is `language`. `turns` belong to segments that have their
    speakers already; a diarization has its own.
    `is_aligned` says that an aligner looked for the words. `written` is the language of all text
    where it is not that of the sound, as of a translation. `speech_seconds` is how much speech was
    found, with or without text. Turns, segments and words end with the file at the latest; a turn
    behind its end is left out, a word never is.
    """
    segments = tuple(_clipped(segment, duration) for chunk in chunks for segment in chunk)
    language = _main_language(segments, language)
    segments = tuple(
        replace(segment, language=None) if segment.language == language else segment
        for segment in segments
    )
    turns = _within(diarization.turns if diarization else turns, duration)
    if diarization is not None:
        segments = assign_speakers(segments, turns, _within(diarization.exclusive, duration))
    segments = without_false_stops(segments, language or "", written)
    is_diarized = diarization is not None
    around = Surroundings(language or "", tuple(turns), is_diarized, is_aligned, written)
    segments = flagged(segments, around)
    if not with_words:
        segments = tuple(replace(segment, words=()) for segment in segments)
    found = [*warnings, *(_missing_notice(span) for span in missing)]
    if not segments and not missing:
        found.append(_no_text_notice(speech_seconds, duration))
    return Transcript(
        language=language if segments else None,
        duration=duration,
        segments=segments,
        warnings=tuple(found),
        turns=turns,
        review=review(segments, found),
    )


def _main_language(segments: Iterable[Segment], otherwise: str | None) -> str | None:
    """Return the language that most seconds of the segments are in; if none names one, the other.

    Of languages with as many seconds it is the one that is heard first.
    """
    seconds: dict[str, float] = {}
    for segment in segments:
        if segment.language:
            length = segment.end - segment.start
            seconds[segment.language] = seconds.get(segment.language, 0.0) + length
    return max(seconds, key=seconds.__getitem__) if seconds else otherwise


def _within(turns: Iterable[Turn], duration: float) -> tuple[Turn, ...]:
    """Clip turns to the end of the file, and leave out those behind it."""
    return tuple(
        replace(turn, end=min(turn.end, duration)) for turn in turns if turn.start < duration
    )


def _clipped(segment: Segment, duration: float) -> Segment:
    """Clip a segment and all its words to the end of the file."""
    if segment.end <= duration and all(word.end <= duration for word in segment.words):
        return segment
    words = tuple(
        replace(word, start=min(word.start, duration), end=min(word.end, duration))
        for word in segment.words
    )
    start, end = min(segment.start, duration), min(segment.end, duration)
    return replace(segment, start=start, end=end, words=words)


def _no_text_notice(speech_seconds: float, duration: float) -> TranscriptWarning:
    if not speech_seconds:
        return TranscriptWarning("no_speech", "No speech was found in the audio.", 0.0, duration)
    return TranscriptWarning(
        "speech_without_text",
        f"{speech_seconds:.1f} s of speech were heard, but the model wrote no text for them.",
        0.0,
        duration,
    )


def _missing_notice(span: MissingSpan) -> TranscriptWarning:
    return TranscriptWarning(
        code="missing_span",
        message=f"This span was not transcribed ({span.code}): {span.message}",
        start=span.start,
        end=span.end,
    )

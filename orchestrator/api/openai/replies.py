"""Write a transcript in the shapes of OpenAI's audio API, for clients of OpenAI. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum
from itertools import count
from string import ascii_uppercase
from typing import Any

from gpu_worker.assembly.formats import render
from gpu_worker.transcript import Segment, Transcript
from gpu_worker.transcription.languages import LANGUAGES

SEEK_PER_SECOND = 100  # openai/whisper counts `seek` in frames of 10 ms
UNKNOWN_SPEAKER = "unknown"  # a diarized segment always names a speaker
_LABEL = "SPEAKER_"


class ReplyFormat(StrEnum):
    """The values of `response_format`."""

    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VTT = "vtt"
    VERBOSE_JSON = "verbose_json"
    DIARIZED_JSON = "diarized_json"

    @property
    def media_type(self) -> str:
        """The value of the Content-Type header."""
        return _MEDIA_TYPES.get(self, "application/json")

    @property
    def is_text(self) -> bool:
        """Whether the reply is text and not JSON."""
        return self in _MEDIA_TYPES


_MEDIA_TYPES = {
    ReplyFormat.TEXT: "text/plain; charset=utf-8",
    ReplyFormat.SRT: "application/x-subrip; charset=utf-8",
    ReplyFormat.VTT: "text/vtt; charset=utf-8",
}


def reply_text(transcript: Transcript, form: ReplyFormat) -> str:
    """Return the body of a reply that is not JSON."""
    if form is ReplyFormat.TEXT:
        return _clean(transcript.text) + "\n"
    return render(transcript, form.value)


def reply_json(
    transcript: Transcript,
    form: ReplyFormat,
    *,
    task: str = "transcribe",
    granularities: frozenset[str] = frozenset({"segment"}),
) -> dict[str, Any]:
    """Return the body of a JSON reply; its `warnings` name the missing parts of a partial job."""
    head: dict[str, Any] = {}
    if form is not ReplyFormat.JSON:
        head = {"task": task, "duration": _number(transcript.duration)}
    if form is ReplyFormat.VERBOSE_JSON:
        head["language"] = _language(transcript, task)
    body = head | {"text": _clean(transcript.text)}
    if form is ReplyFormat.DIARIZED_JSON:
        body["segments"] = list(diarized_segments(transcript))
    if form is ReplyFormat.VERBOSE_JSON:
        if "segment" in granularities:
            body["segments"] = [
                _segment(number, segment) for number, segment in enumerate(transcript.segments)
            ]
        if "word" in granularities:
            body["words"] = [
                {
                    "word": _clean(word.word),
                    "start": _number(word.start),
                    "end": _number(word.end),
                }
                for word in transcript.words
            ]
    return body | closing(transcript)


def closing(transcript: Transcript) -> dict[str, Any]:
    """Return the last fields of each reply: `usage`, and `warnings` if there are some."""
    found = [
        {"code": warning.code, "message": _clean(warning.message)}
        | {
            name: _number(at)
            for name, at in (("start", warning.start), ("end", warning.end))
            if at is not None
        }
        for warning in transcript.warnings
    ]
    return {"usage": _usage(transcript)} | ({"warnings": found} if found else {})


def diarized_segments(transcript: Transcript) -> Iterator[dict[str, Any]]:
    """Yield the segments that have text, each with its speaker."""
    speakers = speaker_letters(transcript)
    spoken = (segment for segment in transcript.segments if segment.text.strip())
    for number, segment in enumerate(spoken):
        yield {
            "type": "transcript.text.segment",
            "id": f"seg_{number:03d}",
            "start": _number(segment.start),
            "end": _number(segment.end),
            "speaker": speakers.get(segment.speaker or "", UNKNOWN_SPEAKER),
            "text": _clean(segment.text.strip()),
        }


def speaker_letters(transcript: Transcript) -> dict[str, str]:
    """Map our labels to A, B, … in the order in which they are first heard; names stay."""
    heard = dict.fromkeys(item.speaker for item in transcript.segments if item.speaker)
    named = {speaker: _clean(speaker) for speaker in heard if not speaker.startswith(_LABEL)}
    letters = (letter for letter in map(_letters, count()) if letter not in named.values())
    return {speaker: named[speaker] if speaker in named else next(letters) for speaker in heard}


def _letters(number: int) -> str:
    """Return A to Z for 0 to 25, then AA, AB, …, as spreadsheets name columns."""
    before, last = divmod(number, len(ascii_uppercase))
    return (_letters(before - 1) if before else "") + ascii_uppercase[last]


def _usage(transcript: Transcript) -> dict[str, Any]:
    """Return the length of the audio as OpenAI bills it: in seconds, rounded up."""
    return {"type": "duration", "seconds": math.ceil(_number(transcript.duration))}


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    speaker = {"speaker": _clean(segment.speaker)} if segment.speaker else {}
    return {
        "id": number,
        "seek": round(_number(segment.start) * SEEK_PER_SECOND),
        "start": _number(segment.start),
        "end": _number(segment.end),
        "text": _clean(segment.text),
        "tokens": [],  # transcripts do not store them
        "temperature": _number(segment.temperature),
        "avg_logprob": _number(segment.avg_logprob),
        "compression_ratio": _number(segment.compression_ratio),
        "no_speech_prob": _number(segment.no_speech_prob),
    } | speaker


def _language(transcript: Transcript, task: str) -> str:
    if task == "translate":
        return "english"
    code = transcript.language
    return LANGUAGES.get(code, code) if code else "unknown"


def _number(value: float) -> float:
    """Return the number, or 0 for infinity and NaN, which JSON cannot express."""
    return value if math.isfinite(value) else 0.0


def _clean(text: str) -> str:
    """Return the text with characters replaced that UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode("utf-8")

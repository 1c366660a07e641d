"""Write a transcript as a file: a document, subtitles, tables, or tiers of annotation programs.

Each writer is a pure function from a transcript to text, or to bytes. The text of a transcript is
not trusted: no word can add a cue, a row or a line to the file, and no word acts as
markup. Callers write the file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from gpu_worker.assembly.elan import elan
from gpu_worker.assembly.subtitle_text import speaker_prefix, srt, vtt
from gpu_worker.assembly.subtitles import SubtitleOptions, segment_cues
from gpu_worker.assembly.textgrid import textgrid
from gpu_worker.assembly.word_document import word_document
from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Transcript, Turn, transcript_to_json

__all__ = ["FORMATS", "Format", "SubtitleOptions", "format_named", "render", "render_file"]


@dataclass(frozen=True, slots=True)
class Format:
    """The name, the media type and the writer of one format."""

    name: str
    media_type: str  # as in a Content-Type header
    write: Callable[[Transcript, SubtitleOptions, str], str | bytes]  # last: the audio's name
    ending: str | None = None  # of a file's name, without its dot; None: the format's name

    @property
    def extension(self) -> str:
        """The end of a file's name, with its dot."""
        return f".{self.ending or self.name}"

    @property
    def is_text(self) -> bool:
        """Whether its files are text in UTF-8."""
        return "charset=utf-8" in self.media_type or self.name == "json"


def render(
    transcript: Transcript,
    format: str,
    options: SubtitleOptions | None = None,
    file_id: str = "audio",
) -> str:
    """Return the transcript as the text of a file, always encodable as UTF-8.

    The options shape srt and vtt only; `file_id` is the audio's name in rttm. Raises
    `InvalidOption` for a format that is not in `FORMATS`, or is not text.
    """
    written = format_named(format).write(transcript, options or SubtitleOptions(), file_id)
    if isinstance(written, bytes):
        raise InvalidOption(f"{format} is not text.", hint="Write it to a file.")
    return written


def render_file(
    transcript: Transcript,
    format: str,
    options: SubtitleOptions | None = None,
    file_id: str = "audio",
) -> bytes:
    """Return the transcript as the bytes of a file of any format; see `render`."""
    written = format_named(format).write(transcript, options or SubtitleOptions(), file_id)
    return written if isinstance(written, bytes) else written.encode("utf-8")


def format_named(name: str) -> Format:
    """Return the format of that name. Raises `InvalidOption` if there is none."""
    if name not in FORMATS:
        raise InvalidOption(
            f"There is no transcript format {name!r}.", hint=f"Use one of: {', '.join(FORMATS)}."
        )
    return FORMATS[name]


def _json(transcript: Transcript, _: SubtitleOptions, __: str) -> str:
    data = _finite(transcript_to_json(transcript))
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode("utf-8") + "\n"


def _txt(transcript: Transcript, _: SubtitleOptions, __: str) -> str:
    return "".join(f"{speaker_prefix(cue.speaker)}{cue.text}\n" for cue in segment_cues(transcript))


def _tsv(transcript: Transcript, _: SubtitleOptions, __: str) -> str:
    rows = (f"{cue.start_ms}\t{cue.end_ms}\t{cue.text}\n" for cue in segment_cues(transcript))
    return "start\tend\ttext\n" + "".join(rows)


def _srt(transcript: Transcript, options: SubtitleOptions, _: str) -> str:
    return srt(transcript, options)


def _vtt(transcript: Transcript, options: SubtitleOptions, _: str) -> str:
    return vtt(transcript, options)


def _rttm(transcript: Transcript, _: SubtitleOptions, file_id: str) -> str:
    """Write NIST's Rich Transcription Time Marked: a line for each turn, ten fields."""
    turns = transcript.turns or [
        Turn(segment.start, segment.end, segment.speaker)
        for segment in transcript.segments
        if segment.speaker
    ]
    return "".join(
        f"SPEAKER {_field(file_id)} 1 {turn.start:.3f} {turn.end - turn.start:.3f} "
        f"<NA> <NA> {_field(turn.speaker)} <NA> <NA>\n"
        for turn in turns
        if math.isfinite(turn.start) and math.isfinite(turn.end) and turn.end > turn.start
    )


def _docx(transcript: Transcript, _: SubtitleOptions, file_id: str) -> bytes:
    return word_document(transcript, file_id)


def _textgrid(transcript: Transcript, _: SubtitleOptions, __: str) -> str:
    return textgrid(transcript)


def _eaf(transcript: Transcript, _: SubtitleOptions, __: str) -> str:
    return elan(transcript)


def _audacity(transcript: Transcript, _: SubtitleOptions, __: str) -> str:
    """Write Audacity's label track: start and end in seconds and the label, by tabs."""
    rows = (
        (cue.start_ms / 1000, cue.end_ms / 1000, speaker_prefix(cue.speaker) + cue.text)
        for cue in segment_cues(transcript)
    )
    return "".join(f"{start:.3f}\t{end:.3f}\t{label}\n" for start, end, label in rows)


_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "json": Format("json", "application/json", _json),
        "txt": Format("txt", "text/plain; charset=utf-8", _txt),
        "srt": Format("srt", "application/x-subrip; charset=utf-8", _srt),
        "vtt": Format("vtt", "text/vtt; charset=utf-8", _vtt),
        "tsv": Format("tsv", "text/tab-separated-values; charset=utf-8", _tsv),
        "rttm": Format("rttm", "text/plain; charset=utf-8", _rttm),
        "docx": Format("docx", _DOCX, _docx),
        "textgrid": Format("textgrid", "text/plain; charset=utf-8", _textgrid, "TextGrid"),
        "eaf": Format("eaf", "application/xml; charset=utf-8", _eaf),
        "audacity": Format("audacity", "text/plain; charset=utf-8", _audacity, "labels.txt"),
    }
)


def _field(text: str) -> str:
    """Return the text as one field of a line whose fields are separated by white space."""
    name = re.sub(r"\s+", "_", text.encode("utf-8", "replace").decode("utf-8"))
    return name or "<NA>"


def _finite(value: Any) -> Any:
    """Replace every number that JSON cannot hold by None, also inside lists and dicts."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value

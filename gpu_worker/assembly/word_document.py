"""Write a transcript as a document of Microsoft Word (.docx), by speakers' paragraphs.

The library is imported when a document is made: few processes make any, and it takes a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from gpu_worker.assembly.line_breaks import ends_sentence
from gpu_worker.assembly.shown_words import clean
from gpu_worker.assembly.subtitles import segment_cues
from gpu_worker.assembly.tiers import xml_text
from gpu_worker.transcript import Transcript
from gpu_worker.words import join_texts

LONG_PARAGRAPH = 600  # characters, after which the next sentence begins another
PAUSE_MS = 3_000  # after which what is said begins another


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What one speaker says at a stretch."""

    start_ms: int
    speaker: str | None
    text: str


def paragraphs(transcript: Transcript) -> Iterator[Paragraph]:
    """Yield the segments, joined until the speaker changes, a pause or a long text."""
    texts: list[str] = []
    start, end, speaker, length = 0, 0, None, 0
    for cue in segment_cues(transcript):
        is_long = length > LONG_PARAGRAPH and ends_sentence(texts[-1])
        if texts and (cue.speaker != speaker or cue.start_ms - end > PAUSE_MS or is_long):
            yield Paragraph(start, speaker, join_texts(texts))
            texts, length = [], 0
        if not texts:
            start, speaker = cue.start_ms, cue.speaker
        texts.append(cue.text)
        end, length = cue.end_ms, length + len(cue.text)
    if texts:
        yield Paragraph(start, speaker, join_texts(texts))


def word_document(transcript: Transcript, title: str) -> bytes:
    """Return the bytes of a document: the title, then each paragraph below its time and speaker."""
    from docx import Document

    document = Document()
    heading = xml_text(clean(title)) or "audio"
    properties = document.core_properties
    # Word refuses a longer property; python-docx raises for one.
    properties.title, properties.author, properties.comments = heading[:255], "", ""
    document.add_heading(heading, level=1)
    for paragraph in paragraphs(transcript):
        head = _clock(paragraph.start_ms)
        if paragraph.speaker:
            head += f"  {xml_text(paragraph.speaker)}"
        written = document.add_paragraph()
        mark = written.add_run(head)
        mark.bold = True
        mark.add_break()
        written.add_run(xml_text(paragraph.text))
    file = BytesIO()
    document.save(file)
    return file.getvalue()


def _clock(time_ms: int) -> str:
    minutes, seconds = divmod(time_ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}"

"""Write a transcript as a document of Microsoft Word (.docx), by speakers' paragraphs.

The library is imported when a document is made: few processes make any, and it takes a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from gpu_worker.assembly.cue import Cue
from gpu_worker.assembly.line_breaks import ends_sentence
from gpu_worker.assembly.shown_words import clean
from gpu_worker.assembly.subtitles import segment_cues
from gpu_worker.assembly.tiers import xml_text
from gpu_worker.transcript import Transcript
from gpu_worker.words import join_texts, space_between

if TYPE_CHECKING:
    from docx.document import Document
    from docx.oxml.xmlchemy import BaseOxmlElement

LONG_PARAGRAPH = 600  # characters, after which the next sentence begins another
PAUSE_MS = 3_000  # after which what is said begins another
_TAGS = {"jw": "jv"}  # Whisper's codes that are no language tags


def paragraphs(transcript: Transcript) -> Iterator[list[Cue]]:
    """Yield what one speaker says until another speaks, a pause or a long text: the segments."""
    found: list[Cue] = []
    length = 0
    for cue in segment_cues(transcript):
        is_long = length > LONG_PARAGRAPH and ends_sentence(found[-1].text)
        is_late = bool(found) and cue.start_ms - found[-1].end_ms > PAUSE_MS
        if found and (cue.speaker != found[0].speaker or is_late or is_long):
            yield found
            found, length = [], 0
        found.append(cue)
        length += len(cue.text)
    if found:
        yield found


def word_document(transcript: Transcript, title: str) -> bytes:
    """Return the bytes of a document: the title, then each paragraph below its time and speaker.

    Text has its language, by which Word checks its spelling.
    """
    from docx import Document

    document = Document()
    _name_language(document, transcript.language)
    heading = xml_text(clean(title)) or "audio"
    properties = document.core_properties
    # Word refuses a longer property; python-docx raises for one.
    properties.title, properties.author, properties.comments = heading[:255], "", ""
    document.add_heading(heading, level=1)
    for cues in paragraphs(transcript):
        head = _clock(cues[0].start_ms)
        if cues[0].speaker:
            head += f"  {xml_text(cues[0].speaker)}"
        written = document.add_paragraph()
        mark = written.add_run(head)
        mark.bold = True
        mark.add_break()
        before = ""
        for language, spoken in groupby(cues, attrgetter("language")):
            text = join_texts(cue.text for cue in spoken)
            part = written.add_run(xml_text(space_between(before, text) + text))
            if language is not None:
                part._element.get_or_add_rPr().append(_language(language))
            before = text
    file = BytesIO()
    document.save(file)
    return file.getvalue()


def _name_language(document: Document, language: str | None) -> None:
    """Give a document its language in the place of python-docx's English; None: it has none."""
    for theirs in document.styles.element.xpath("w:docDefaults/w:rPrDefault/w:rPr/w:lang"):
        defaults = theirs.getparent()
        defaults.remove(theirs)
        if language is not None:
            defaults.append(_language(language))


def _language(code: str) -> BaseOxmlElement:
    """Return a language as the property of a text, for each kind of script."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    made = OxmlElement("w:lang")
    for scripts in ("w:val", "w:eastAsia", "w:bidi"):
        made.set(qn(scripts), _TAGS.get(code, code))
    return made


def _clock(time_ms: int) -> str:
    minutes, seconds = divmod(time_ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}"

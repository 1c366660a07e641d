"""Write ELAN's annotation format, EAF 3.0 (schema: mpi.nl/tools/elan/EAFv3.0.xsd).

Each speaker has a tier of segments and one of words, all of them with times of their own. Pure.
"""

from __future__ import annotations

from itertools import count
from xml.etree import ElementTree

from gpu_worker.assembly.tiers import tiers_by_speaker, xml_text
from gpu_worker.transcript import Transcript

SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
LINGUISTIC_TYPE = "default-lt"  # ELAN's own name for a tier without a parent
DATE = "1970-01-01T00:00:00Z"  # the schema wants one; equal transcripts give equal files


def elan(transcript: Transcript) -> str:
    """Return the text of an EAF document; the audio's file is chosen when ELAN opens it."""
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "",
            "DATE": DATE,
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": XSI,
            "xsi:noNamespaceSchemaLocation": SCHEMA,
        },
    )
    header = {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    ElementTree.SubElement(root, "HEADER", header)
    order = ElementTree.SubElement(root, "TIME_ORDER")
    slots, annotations = count(1), count(1)

    def slot(time_ms: int) -> str:
        name = f"ts{next(slots)}"
        slotted = {"TIME_SLOT_ID": name, "TIME_VALUE": str(time_ms)}
        ElementTree.SubElement(order, "TIME_SLOT", slotted)
        return name

    for tier in tiers_by_speaker(transcript):
        named = {"LINGUISTIC_TYPE_REF": LINGUISTIC_TYPE, "TIER_ID": xml_text(tier.name)}
        if tier.speaker:
            named["PARTICIPANT"] = xml_text(tier.speaker)
        element = ElementTree.SubElement(root, "TIER", named)
        for interval in tier.intervals:
            annotation = ElementTree.SubElement(element, "ANNOTATION")
            timed = {
                "ANNOTATION_ID": f"a{next(annotations)}",
                "TIME_SLOT_REF1": slot(interval.start_ms),
                "TIME_SLOT_REF2": slot(interval.end_ms),
            }
            alignable = ElementTree.SubElement(annotation, "ALIGNABLE_ANNOTATION", timed)
            value = ElementTree.SubElement(alignable, "ANNOTATION_VALUE")
            value.text = xml_text(interval.text)
    described = {"LINGUISTIC_TYPE_ID": LINGUISTIC_TYPE, "TIME_ALIGNABLE": "true"}
    described["GRAPHIC_REFERENCES"] = "false"
    ElementTree.SubElement(root, "LINGUISTIC_TYPE", described)
    ElementTree.indent(root, " ")
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'

"""Where two transcripts of one recording disagree: how many words, and in which lines most.

    python -m gpu_worker.accuracy.disagreement < PAIRS

answers a JSON list of `{"language", "first", "second"}`, two transcripts, with the words of the
first, how many of them the second has otherwise, and the lines in which most are. The control
plane asks so, as it loads no model library. Needs transformers and the extra `bench`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from gpu_worker.accuracy.edits import heard_words
from gpu_worker.accuracy.normaliser import normalised
from gpu_worker.transcript import Segment, transcript_from_json
from gpu_worker.words import join_texts

MOST_SPANS = 5  # of a recording


def disagreement(first: Mapping[str, Any], second: Mapping[str, Any], language: str) -> Any:
    """Compare the second transcript's words with the first's, and place what differs.

    Compared is what was heard, whatever a vocabulary has written instead. Where the first has no
    words, those of the second are counted and have no place.
    """
    one, other = transcript_from_json(first), transcript_from_json(second)
    lines = [normalised(_heard(line), language).split() for line in one.segments]
    heard = normalised(join_texts(map(_heard, other.segments)), language).split()
    places = heard_words([word for line in lines for word in line], heard)
    if not places:
        return {"words": 0, "errors": len(heard), "spans": []}
    spans: list[dict[str, Any]] = []
    at = 0
    for line, words in zip(one.segments, lines, strict=True):
        found = places[at : at + len(words)]
        at += len(words)
        errors = sum(each.errors for each in found)
        if errors:
            spans.append(
                {
                    "start": line.start,
                    "end": line.end,
                    "words": len(words),
                    "errors": errors,
                    "first": _heard(line),
                    "second": " ".join(word for each in found for word in each.words),
                }
            )
    spans.sort(key=lambda span: (-span["errors"], span["start"]))
    errors = sum(each.errors for each in places)
    return {"words": len(places), "errors": errors, "spans": spans[:MOST_SPANS]}


def _heard(line: Segment) -> str:
    return line.text if line.spoken is None else line.spoken


def main() -> None:
    """Answer the pairs on standard input."""
    pairs = json.load(sys.stdin)
    print(json.dumps([disagreement(it["first"], it["second"], it["language"]) for it in pairs]))


if __name__ == "__main__":
    main()

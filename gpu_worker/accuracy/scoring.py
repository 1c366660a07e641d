"""Score transcripts of labelled recordings by several sides, and compare the sides.

    python -m gpu_worker.accuracy.scoring < REQUEST

REQUEST is a JSON list of recordings: `reference` (`LabelledFile.reference_json`), `language`, and
`heard`, a transcript of each side. The answer has the scores of each recording and side, and of
each side but the first the differences from it. The control plane asks so, as it loads no model
library. Needs transformers, scipy, pyannote.metrics and the extra `bench`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from typing import Any

from gpu_worker.accuracy.counting import word_error
from gpu_worker.accuracy.edits import STRETCH_WORDS, stretches
from gpu_worker.accuracy.intervals import difference
from gpu_worker.accuracy.normaliser import normalised
from gpu_worker.accuracy.speaker_scores import (
    DiarizationError,
    cp_word_error,
    diarization_error,
)
from gpu_worker.accuracy.word_error import WordError
from gpu_worker.accuracy.word_times import time_errors
from gpu_worker.transcript import Transcript, Turn, Word, transcript_from_json

ENOUGH_FILES = 20  # to resample recordings; of fewer, stretches of their texts


@dataclass(frozen=True, slots=True)
class Scores:
    """What one side made of one recording; None where the reference does not know it."""

    words: WordError
    speakers_words: WordError | None = None  # cpWER
    speakers: DiarizationError | None = None  # DER
    starts: tuple[float, ...] = ()  # seconds by which words begin late (+) or early (−)

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Scored:
    """One recording: the scores of each side, and the stretches of its text."""

    sides: tuple[Scores, ...]
    stretches: list[list[int]] = field(default_factory=list)


def score(recording: Mapping[str, Any]) -> Scored:
    """Score one recording of the request."""
    reference, language = recording["reference"], recording["language"]
    heard = [transcript_from_json(each) for each in recording["heard"]]
    said = normalised(reference["text"], language).split()
    texts = [normalised(each.text, language).split() for each in heard]
    return Scored(
        tuple(_scores(reference, each, language) for each in heard), stretches(said, texts)
    )


def _scores(reference: Mapping[str, Any], heard: Transcript, language: str) -> Scores:
    turns = tuple(Turn(*turn) for turn in reference["turns"])
    words = tuple(Word(text, start, end, 1.0) for text, start, end in reference["words"])
    spoken = [(each.speaker or "", each.text) for each in heard.segments]
    texts = reference["texts"]
    return Scores(
        word_error(reference["text"], heard.text, language),
        cp_word_error(by_speaker(texts, language), by_speaker(spoken, language)) if texts else None,
        diarization_error(turns, heard.turns, heard.duration) if turns else None,
        time_errors(words, heard.words, language).starts if words else (),
    )


def by_speaker(said: Sequence[Sequence[str]], language: str) -> dict[str, str]:
    """Return what each speaker says, normalised, in order of time."""
    parts: dict[str, list[str]] = {}
    for speaker, text in said:
        parts.setdefault(speaker, []).append(text)
    return {speaker: normalised(" ".join(texts), language) for speaker, texts in parts.items()}


def compare(recordings: Sequence[Scored], side: int) -> dict[str, Any]:
    """Return how a side's rates differ from the first side's: of words, cpWER and DER."""
    if len(recordings) >= ENOUGH_FILES:
        units = [[each.sides[0].words.words, *(it.words.errors for it in each.sides)]
                 for each in recordings]  # fmt: skip
        of = "recordings"
    else:
        units = [stretch for each in recordings for stretch in each.stretches]
        of = f"stretches of {STRETCH_WORDS} words"
    words = difference(
        [unit[1] for unit in units], [unit[1 + side] for unit in units], [it[0] for it in units]
    )
    by_words, by_time = [], []
    for each in recordings:
        first, other = each.sides[0], each.sides[side]
        if first.speakers_words and other.speakers_words:
            one, two = first.speakers_words, other.speakers_words
            by_words.append((one.errors, two.errors, one.words))
        if first.speakers and other.speakers:
            by_time.append((first.speakers.wrong, other.speakers.wrong, first.speakers.scored))
    found = {"wer": (words, of)}
    for name, rows in (("cpwer", by_words), ("der", by_time)):
        columns = list(zip(*rows, strict=True)) or [(), (), ()]
        found[name] = difference(*columns), "recordings"
    return {
        name: asdict(it) | {"sign": it.sign, "of": of} for name, (it, of) in found.items() if it
    }


def answer(request: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Score the request's recordings; return the scores and the differences as JSON."""
    scored = [score(recording) for recording in request]
    sides = len(scored[0].sides) if scored else 0
    return {
        "recordings": [[each.to_json() for each in one.sides] for one in scored],
        "differences": [compare(scored, side) for side in range(1, sides)],
    }


def main() -> None:
    """Answer the request on standard input; what libraries print goes to standard error."""
    with redirect_stdout(sys.stderr):
        answered = answer(json.load(sys.stdin))
    print(json.dumps(answered))


if __name__ == "__main__":
    main()

"""How wrong speakers are: diarization error rate and cpWER.

Knows spans, names and words; nothing of files, models or jobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import jiwer
import numpy as np
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate
from scipy.optimize import linear_sum_assignment

from gpu_worker.accuracy.word_error import WordError
from gpu_worker.transcript import Turn

COLLAR = 0.25  # seconds around each reference boundary that are not scored, half on each side


@dataclass(frozen=True, slots=True)
class DiarizationError:
    """Seconds of speech that was scored, and of it that were wrong, by kind."""

    scored: float
    missed: float
    false_alarm: float
    confusion: float

    @property
    def rate(self) -> float:
        """The diarization error rate; NaN where there is no speech to score."""
        return self.wrong / self.scored if self.scored else float("nan")

    @property
    def wrong(self) -> float:
        """Seconds that were wrong in any way."""
        return self.missed + self.false_alarm + self.confusion

    def __add__(self, other: DiarizationError) -> DiarizationError:
        return DiarizationError(
            self.scored + other.scored,
            self.missed + other.missed,
            self.false_alarm + other.false_alarm,
            self.confusion + other.confusion,
        )


def diarization_error(
    reference: Iterable[Turn],
    hypothesis: Iterable[Turn],
    seconds: float,
    collar: float = COLLAR,
) -> DiarizationError:
    """Compare spans of an audio of `seconds`.

    pyannote.metrics' DiarizationErrorRate(collar=collar, skip_overlap=False): overlapping
    speech counts once for each speaker, and names are matched for the least confusion.
    """
    metric = DiarizationErrorRate(collar=collar, skip_overlap=False)
    found = metric.compute_components(
        annotation(reference), annotation(hypothesis), uem=Timeline([Segment(0.0, seconds)])
    )
    return DiarizationError(
        scored=float(found["total"]),
        missed=float(found["missed detection"]),
        false_alarm=float(found["false alarm"]),
        confusion=float(found["confusion"]),
    )


def annotation(spans: Iterable[Turn]) -> Annotation:
    """Return spans as pyannote's libraries have them; those that are empty are left out."""
    made = Annotation()
    for number, span in enumerate(spans):
        if span.end > span.start:
            made[Segment(span.start, span.end), number] = span.speaker
    return made


def cp_word_error(reference: Mapping[str, str], hypothesis: Mapping[str, str]) -> WordError:
    """Return the cpWER: the word errors of each speaker's whole text, by the best match of names.

    Concatenated minimum-permutation WER, CHiME-6 (arXiv:2004.09249). meeteval counts the same, but
    there is no wheel of it: it would have to be compiled (docs/choices.md). Both are texts by
    speaker, words in order of time and separated by white space; they are compared as they
    stand. A speaker without a partner counts with all their words.
    """
    said = [text.split() for text in reference.values()]
    heard = [text.split() for text in hypothesis.values()]
    size = max(len(said), len(heard))
    said += [[]] * (size - len(said))
    heard += [[]] * (size - len(heard))
    costs = np.array([[_word_errors(one, other) for other in heard] for one in said])
    errors = int(costs[linear_sum_assignment(costs)].sum()) if size else 0
    return WordError(words=sum(map(len, said)), errors=errors)


def _word_errors(said: list[str], heard: list[str]) -> int:
    """Return the Levenshtein distance in words; jiwer takes no empty reference."""
    if not said or not heard:
        return len(said) + len(heard)
    found = jiwer.process_words(" ".join(said), " ".join(heard))
    return int(found.substitutions + found.deletions + found.insertions)

"""Words that are transcribed and aligned stand where they were said."""

from __future__ import annotations

import json
from difflib import SequenceMatcher
from statistics import median, quantiles
from typing import Any

import pytest

from tests import DATA
from tests.integration.conftest import StartCluster

MEDIAN_SECONDS, LATEST_SECONDS = 0.050, 0.120  # at the 95th percentile
FEWEST = 80  # words of a hundred that pico must have heard for the figures to mean something


@pytest.mark.heavy
def test_words_are_within_50_ms_of_where_they_were_said(start_cluster: StartCluster) -> None:
    """English and Spanish utterances with pauses between them, each heard in its language."""
    cluster = start_cluster(workers=1)
    utterances = json.loads((DATA / "word_times.json").read_text())
    for language in ("en", "es"):
        said = [
            word for each in utterances if each["language"] == language for word in each["words"]
        ]
        options = {"model": "pico", "language": language, "chunk_seconds": 30}
        jobs = {
            aligner: cluster.submit(DATA / "word_times.ogg", aligner=aligner, **options)
            for aligner in ("ctc", "whisperx", "cross_attention")
        }
        found = {}
        for aligner, job in jobs.items():
            assert cluster.wait(job).status == "completed"
            found[aligner] = cluster.result(job)["transcript"]["word_segments"]
            errors = errors_of(found[aligner], said)
            assert len(errors) >= 2 * FEWEST / 100 * len(said)
            *_, late = quantiles(errors, n=20)
            middle = median(errors)
            print(
                f"{language}, {aligner}: median {middle * 1000:.0f} ms, 95 % {late * 1000:.0f} ms"
            )
            if aligner != "cross_attention":
                assert middle <= MEDIAN_SECONDS and late <= LATEST_SECONDS
        for one, other in zip(found["ctc"], found["whisperx"], strict=True):
            assert one["word"] == other["word"]
            assert abs(one["start"] - other["start"]) <= 0.021
            assert abs(one["end"] - other["end"]) <= 0.021


def errors_of(heard: list[dict[str, Any]], said: list[dict[str, Any]]) -> list[float]:
    """By how many seconds the starts and ends of the words that were heard right are off."""
    matcher = SequenceMatcher(
        a=[word["word"] for word in heard], b=[word["word"] for word in said], autojunk=False
    )
    return [
        abs(heard[first + index][edge] - said[second + index][edge])
        for first, second, length in matcher.get_matching_blocks()
        for index in range(length)
        for edge in ("start", "end")
    ]

"""What a trial's report says of its two sides, counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from gpu_worker.accuracy.word_error import WordError
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Status
from orchestrator.results.trial import TriedJob, trial_report, tried_jobs
from tasks.runs.units import Run
from tests.inputs.doubted import DOUBTED, publish
from tests.inputs.examples import TENANT, a_manifest, a_plan, write_records


def tried(side: Any, text: str = "one two", **changes: Any) -> TriedJob:
    words = len(text.split())
    usual: dict[str, Any] = {
        "side": side,
        "variant": f"base {side}",
        "name": "talk.mp3",
        "audio": "ab",
        "audio_seconds": 30.0,
        "language": "en",
        "text": text,
        "words": words,
        "probability_sum": 0.75 * words,
        "logprob_sum": -0.5 * words,
        "computed_seconds": 3.0,
        "computed_audio_seconds": 30.0,
    }
    return TriedJob(**usual | changes)


def places_that_differ(pairs: Sequence[tuple[str, str, str]]) -> list[WordError]:
    return [
        WordError(
            len(said.split()),
            sum(a != b for a, b in zip(said.split(), heard.split(), strict=True)),
        )
        for said, heard, _ in pairs
    ]


def test_a_side_is_its_jobs_their_audio_speed_and_certainty() -> None:
    cached = tried("control", "three", computed_seconds=0.0, computed_audio_seconds=0.0)
    report = trial_report([tried("control"), cached], {}, places_that_differ)
    side = report.sides["control"]
    assert (side.variants, side.jobs, side.audio_seconds, side.words) == (
        ("base control",),
        2,
        60.0,
        3,
    )
    assert side.real_time_factor == pytest.approx(0.1)  # what was in the store counts for nothing
    assert (side.avg_logprob, side.word_probability) == (-0.5, 0.75)
    assert (side.words_a_minute, side.error) == (3.0, None)
    empty = report.sides["variant"]
    assert (empty.jobs, empty.real_time_factor, empty.words_a_minute) == (0, None, None)
    assert (report.same_audio, report.disagreement) == (0, None)


def test_the_sides_disagree_where_the_newest_texts_of_the_same_audio_differ() -> None:
    jobs = [
        tried("variant", "one too"),
        tried("control", "one two"),
        tried("variant", "old text"),
        tried("control", "a b c", audio="other"),
        tried("variant", "a b c", audio="third"),
    ]
    report = trial_report(jobs, {}, places_that_differ)
    assert (report.same_audio, report.disagreement) == (1, WordError(2, 1))


def test_each_side_is_judged_by_the_texts_of_its_files() -> None:
    jobs = [
        tried("control", "one two", name="a.wav"),
        tried("control", "x y", name="unknown.wav"),
        tried("variant", "won two", name="a.ogg", audio="other"),
        tried("variant", "b", name="b.wav", audio="third"),
    ]
    sides = trial_report(jobs, {"a": "one two", "b": "b"}, places_that_differ).sides
    assert sides["control"].error == WordError(2, 0)
    assert sides["variant"].error == WordError(3, 1)


@pytest.mark.parametrize(("task", "language"), [("translate", "en"), ("transcribe", "de")])
def test_a_job_has_the_language_of_its_text(connection: Cluster, task: str, language: str) -> None:
    manifest = a_manifest(language="de", task=task).model_copy(update={"trial": "control"})
    write_records(connection.store, manifest, a_plan(12.0))
    job = publish(connection, replace(DOUBTED, language="de"))
    connection.ended.end(Run(TENANT, job, 1), Status.COMPLETED)
    (found,) = tried_jobs(connection, TENANT, 10)
    assert found.language == language

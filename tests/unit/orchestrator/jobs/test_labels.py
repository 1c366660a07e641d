"""Labels go with a job, from its submission to the records of what it used."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.labels import InvalidLabel, has_labels, parse_labels
from orchestrator.jobs.requests import LABELS
from orchestrator.jobs.runs import cancel
from orchestrator.jobs.submission import IdempotencyConflict, rerun, submit
from orchestrator.usage.report import LABEL, make_report
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.manifest import Source
from tasks.runs.options import JobOptions
from tests.inputs.examples import TENANT, a_manifest, a_plan

OPTIONS = JobOptions(model="pico", language="en", aligner="cross_attention")
SOURCE = Source(name="a.wav", url="s3://calls/a.wav")
PROJECT = {"project": "archive", "cost-center": "47.11/a"}


def submitted(connection: Cluster, labels: dict[str, str], **named: Any) -> str:
    return submit(connection, SOURCE, OPTIONS, tenant=TENANT, labels=labels, **named).id


def test_labels_are_read_as_people_write_them() -> None:
    assert parse_labels(["a=b=c", "x.y/z=1"]) == {"a": "b=c", "x.y/z": "1"}
    assert parse_labels(["a:b:c"], ":") == {"a": "b:c"}


@pytest.mark.parametrize(
    "texts",
    [["a"], ["=b"], ["a="], ["a=1", "a=2"], ["-a=1"], ["a b=1"], [f"{'k' * 64}=1"],
     [f"a={'v' * 101}"], ["a=\n"], [f"k{n}=1" for n in range(LABELS + 1)]],
)  # fmt: skip
def test_what_is_no_label_is_refused(texts: list[str]) -> None:
    with pytest.raises(InvalidLabel):
        parse_labels(texts)


def test_a_job_has_all_labels_that_are_wanted_or_not() -> None:
    assert has_labels(PROJECT, {}) and has_labels(PROJECT, {"project": "archive"})
    assert not has_labels(PROJECT, {"project": "other"})
    assert not has_labels({}, {"project": "archive"})


def test_a_job_and_its_rerun_show_their_labels(connection: Cluster) -> None:
    job = submitted(connection, PROJECT)
    assert connection.job(TENANT, job).to_json()["labels"] == PROJECT
    cancel(connection, TENANT, job)
    assert rerun(connection, TENANT, job, {"beam_size": 5}).labels == PROJECT


def test_other_labels_are_another_submission(connection: Cluster) -> None:
    job = submitted(connection, PROJECT, idempotency_key="one")
    assert submitted(connection, PROJECT, idempotency_key="one") == job
    with pytest.raises(IdempotencyConflict):
        submitted(connection, {}, idempotency_key="one")


def test_a_manifest_without_labels_is_as_an_earlier_release_wrote_it() -> None:
    assert "labels" not in a_manifest().model_dump(mode="json")


def test_a_canceled_run_is_recorded_with_the_labels_of_its_job(connection: Cluster) -> None:
    job = submitted(connection, PROJECT)
    unit = f"{TENANT}/{job}/1/prepare/0"
    receipt = {"seconds": 1.0, "finished_at": 86400.0, "detail": {"unit": unit}}
    plan = a_plan(5.0).model_dump(mode="json") | {"receipt": receipt}
    connection.store.put(keys.plan(TENANT, job), encode(plan))
    cancel(connection, TENANT, job)
    books = connection.books
    (run,) = books.counting.uncounted()
    books.counting.count(run, 86400.0)
    accounts = books.reader.accounts("1970-01-01", "1970-01-31")
    report = make_report(accounts, ("1970-01-01", "1970-01-31"), [f"{LABEL}project"], None)
    assert [row.keys for row in report.rows] == [{"label:project": "archive"}]

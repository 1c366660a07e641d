"""When a job should be ready: a time with its zone or seconds from now, and never in the past."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.ready_by import (
    LONGEST_SECONDS,
    ReadyByPassed,
    check_ready_by,
    moment,
    seconds_from_now,
)
from orchestrator.jobs.requests import JobRequest
from orchestrator.jobs.runs import cancel
from orchestrator.jobs.submission import rerun, submit
from tasks.runs import keys
from tasks.runs.manifest import Source
from tasks.runs.options import JobOptions
from tests.inputs.examples import TENANT

NOW = 1_700_000_000.0
OPTIONS = JobOptions(model="fake", language="en")
SOURCE = Source(name="talk.wav", url="s3://calls/talk.wav")


@pytest.mark.parametrize("value", [3600, 3600.0, "3600", "3.6e3"])
def test_a_number_is_seconds_from_now(value: Any) -> None:
    assert moment(value, NOW) == NOW + 3600


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2 h", 7200), ("in 2 h", 7200), ("In 2 Hours", 7200), ("90min", 5400), ("1h30m", 5400),
        ("1 day 6 h", 108_000), ("1.5 h", 5400), ("PT2H30M", 9000), ("P1D", 86_400),
        ("2w", 1_209_600),        (" 45 s ", 45),
    ],
)  # fmt: skip
def test_words_and_iso_durations_are_a_time_from_now(text: str, seconds: float) -> None:
    assert moment(text, NOW) == NOW + seconds
    assert seconds_from_now(text) == seconds


@pytest.mark.parametrize(
    "value", ["2030-05-01T18:00:00+02:00", "soon", "0 h", -1, "60 weeks", "nan"]
)
def test_what_is_counted_later_is_no_time_of_a_day(value: Any) -> None:
    with pytest.raises(ValueError, match=r"from (then|now)"):
        seconds_from_now(value)


def test_a_time_is_taken_in_its_zone() -> None:
    assert moment("2023-11-15T00:13:20+02:00", NOW) == NOW
    assert moment("2023-11-14T22:13:20Z", NOW) == NOW
    assert moment(datetime.fromtimestamp(NOW, UTC), NOW) == NOW


@pytest.mark.parametrize(
    "value",
    [
        "", "soon", "2030-01-01T00:00:00", "2030-01-01", "tomorrow", 0, -5, "-5", True, None,
        float("nan"), "nan", "inf", [], {}, LONGEST_SECONDS + 1, "9999-01-01T00:00:00Z",
        "2030-13-01T00:00:00Z", 1e300, "2 hh", "h", "in", "2 h ago", "0 h", "P", "PT0S", "-PT2H",
        "2 h" * 50, "1 h of 2", "²h",
    ],
)  # fmt: skip
def test_what_is_no_time_to_come_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"2 h$|a year"):
        moment(value, NOW)


def test_a_request_has_the_time_as_seconds_since_1970() -> None:
    asked = JobRequest.model_validate({"source": "s3://b/k", "ready_by": 60})
    assert asked.ready_by == pytest.approx(time.time() + 60, abs=50)
    assert JobRequest.model_validate({"source": "s3://b/k"}).ready_by is None


def test_a_time_that_has_passed_is_refused_when_the_job_is_accepted(connection: Cluster) -> None:
    check_ready_by(None, NOW)
    check_ready_by(NOW + 1, NOW)
    with pytest.raises(ReadyByPassed):
        check_ready_by(NOW, NOW)
    with pytest.raises(ReadyByPassed):
        submit(connection, SOURCE, OPTIONS, tenant=TENANT, ready_by=time.time() - 1)
    assert not list(connection.store.list("tenants/"))


def test_it_is_in_the_manifest_and_shown_and_only_where_it_was_given(connection: Cluster) -> None:
    at = round(time.time() + 3600, 3)
    job = submit(connection, SOURCE, OPTIONS, tenant=TENANT, ready_by=at)
    assert connection.records.manifest(TENANT, job.id).ready_by == at
    assert connection.job(TENANT, job.id).to_json()["ready_by"] == at
    other = submit(connection, SOURCE, OPTIONS, tenant=TENANT)
    assert b"ready_by" in connection.store.get(keys.manifest(TENANT, job.id))
    assert b"ready_by" not in connection.store.get(keys.manifest(TENANT, other.id))


def test_the_same_submission_sent_again_after_its_time_gives_the_same_job(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = time.time() + 3600
    first, again = (
        submit(connection, SOURCE, OPTIONS, tenant=TENANT, idempotency_key="k", ready_by=moved)
        for moved in (at, time.time() - timedelta(hours=1).total_seconds())
    )
    assert first.id == again.id
    assert connection.records.manifest(TENANT, first.id).ready_by == at


def test_a_job_that_is_run_again_has_its_own_or_none(connection: Cluster) -> None:
    job = submit(connection, SOURCE, OPTIONS, tenant=TENANT, ready_by=time.time() + 3600)
    cancel(connection, TENANT, job.id)
    again = rerun(connection, TENANT, job.id, {"beam_size": 2})
    assert connection.records.manifest(TENANT, again.id).ready_by is None
    at = round(time.time() + 60, 3)
    cancel(connection, TENANT, again.id)
    named = rerun(connection, TENANT, job.id, {"beam_size": 3}, ready_by=at)
    assert connection.records.manifest(TENANT, named.id).ready_by == at
    with pytest.raises(ReadyByPassed):
        rerun(connection, TENANT, job.id, {"beam_size": 4}, ready_by=time.time() - 1)

"""Each object that a rule names becomes one job, however often one hears of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from gpu_worker.errors import RedisUnavailable, StoreRefused, StoreUnavailable
from orchestrator.access import ClusterFull
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.submission import IdempotencyConflict
from orchestrator.triggers.events import MalformedEvent
from orchestrator.triggers.intake import Intake, Taken, UnusableKey, open_intake
from orchestrator.triggers.rules import Rules, read_rules
from tasks.runs import keys
from tests.inputs.event_bodies import event_bridge, minio, raw, sns
from tests.servers.s3_script import Script

RULES = """
[[rule]]
bucket = "{bucket}"
prefix = "calls/"
suffix = ".wav"
output = "s3://{bucket}/transcripts/"
formats = ["json", "srt"]
[rule.options]
model = "fake"
language = "en"
[rule.metadata]
team = "sales"
"""
LATER = """
[[rule]]
bucket = "{bucket}"
prefix = "later/"
ready_by = "in 2 h"
"""


@pytest.fixture
def client(s3_shared_client: Any) -> Any:
    return s3_shared_client


@pytest.fixture
def rules_file(tmp_path: Path, bucket: str) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULES.format(bucket=bucket))
    return path


@pytest.fixture
def rules(rules_file: Path, connection: Cluster) -> Rules:
    return read_rules(rules_file, connection.settings)


@pytest.fixture
def intake(connection: Cluster, rules: Rules, client: Any) -> Intake:
    return Intake(connection, rules, client)


@pytest.fixture
def put(client: Any, bucket: str) -> Callable[..., str]:
    """Put an object; gives the message about it."""

    def put(key: str, body: bytes = b"sound") -> str:
        client.put_object(Bucket=bucket, Key=key, Body=body)
        return raw(bucket, key)

    return put


def jobs(connection: Cluster) -> list[str]:
    return [job for _, job in connection.jobs.newest("default", 100)]


def test_an_object_becomes_a_job_as_its_rule_says(
    connection: Cluster, intake: Intake, put: Callable[..., str], bucket: str
) -> None:
    taken = intake.take(put("calls/a b+ü%41.wav"))
    assert taken == Taken(jobs=tuple(jobs(connection)))
    manifest = connection.records.manifest("default", taken.jobs[0])
    assert manifest.source.url == f"s3://{bucket}/calls/a b+ü%41.wav"
    assert (manifest.source.name, manifest.metadata) == ("a b+ü%41.wav", {"team": "sales"})
    assert (manifest.options.model, manifest.options.language) == ("fake", "en")
    assert manifest.output is not None
    assert manifest.output.url == f"s3://{bucket}/transcripts/a b+ü%41.wav"
    assert manifest.output.formats == ("json", "srt")


def test_a_rule_says_how_long_after_its_event_an_object_should_be_ready(
    connection: Cluster, rules_file: Path, client: Any, put: Callable[..., str], bucket: str
) -> None:
    rules_file.write_text(RULES.format(bucket=bucket) + LATER.format(bucket=bucket))
    taking = Intake(connection, read_rules(rules_file, connection.settings), client)
    body = put("later/a.wav")
    (job,) = taking.take(body).jobs
    due = connection.records.manifest("default", job).ready_by
    assert due == pytest.approx(time.time() + 7200, abs=30)
    assert taking.take(body).jobs == (job,)
    assert connection.records.manifest("default", job).ready_by == due


def test_events_that_come_again_in_any_form_give_the_same_job(
    connection: Cluster, intake: Intake, put: Callable[..., str], bucket: str
) -> None:
    body = put("calls/ä b.wav")
    others = [wrap(bucket, "calls/ä b.wav") for wrap in (minio, event_bridge)]
    bodies = [body, sns(body), *others, body.replace("9dd4e461", "an older content's")]
    with ThreadPoolExecutor(20) as pool:
        taken = list(pool.map(intake.take, bodies * 4))
    assert set(taken) == {Taken(jobs=tuple(jobs(connection)))}
    assert len(jobs(connection)) == len(connection.jobs.open_runs()) == 1


def test_other_content_under_the_same_key_is_another_job(
    connection: Cluster, intake: Intake, put: Callable[..., str]
) -> None:
    first = intake.take(put("calls/a.wav"))
    late = put("calls/a.wav", b"another sound")
    second = intake.take(late)
    assert first.jobs != second.jobs == intake.take(late).jobs
    assert len(jobs(connection)) == 2


def test_each_version_is_a_job_where_the_bucket_has_versions(
    connection: Cluster, intake: Intake, put: Callable[..., str], client: Any, bucket: str
) -> None:
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first, second = (intake.take(put("calls/a.wav")) for _ in range(2))
    assert first.jobs != second.jobs
    assert len(jobs(connection)) == 2


def test_what_no_rule_names_and_what_is_gone_is_ignored(
    connection: Cluster, intake: Intake, put: Callable[..., str], client: Any, bucket: str
) -> None:
    gone = put("calls/gone.wav")
    client.delete_object(Bucket=bucket, Key="calls/gone.wav")
    bodies = [gone, put("other/a.wav"), put("calls/a.txt"), put("transcripts/a.wav.srt")]
    records = [record for body in bodies for record in json.loads(body)["Records"]]
    assert intake.take(json.dumps({"Records": records})) == Taken(ignored=4)
    assert jobs(connection) == []


def test_a_folder_is_no_recording(
    connection: Cluster, rules: Rules, client: Any, put: Callable[..., str]
) -> None:
    (rule,) = rules.rules
    everything = Rules((rule.model_copy(update={"suffix": ("",)}),))
    body = put("calls/new/", b"")
    assert Intake(connection, everything, client).take(body) == Taken(ignored=1)


@pytest.mark.parametrize(
    "key",
    [
        "calls//a.wav",
        "calls/../a.wav",
        "calls/line\nbreak.wav",
        f"calls/{'x' * 252}.wav",
        f"calls/{'x/' * 503}.wav",
    ],
)
def test_a_key_that_cannot_be_used_is_refused_and_holds_up_no_other(
    connection: Cluster, intake: Intake, put: Callable[..., str], bucket: str, key: str
) -> None:
    records = [json.loads(raw(bucket, key)), json.loads(put("calls/good.wav"))]
    body = json.dumps({"Records": [record["Records"][0] for record in records]})
    taken = intake.take(body)
    assert [type(error) for error in taken.refused] == [UnusableKey]
    assert taken.jobs == tuple(jobs(connection)) != ()


def test_a_key_that_is_no_unicode_is_refused(intake: Intake, bucket: str) -> None:
    body = event_bridge(bucket, "calls/\ud800.wav")
    assert [error.code for error in intake.take(body).refused] == ["unusable_key"]


def test_a_message_that_says_nothing_is_refused(intake: Intake) -> None:
    with pytest.raises(MalformedEvent):
        intake.take("hello")


def test_rules_that_changed_make_no_second_job_of_what_was_taken(
    connection: Cluster, intake: Intake, rules: Rules, client: Any, put: Callable[..., str]
) -> None:
    body = put("calls/a.wav")
    first = intake.take(body)
    (rule,) = rules.rules
    changed = Rules((rule.model_copy(update={"formats": ("vtt",)}),))
    connection.redis.flushall()  # and the process that took it died before the job was whole
    assert Intake(connection, changed, client).take(body) == first
    assert len(connection.jobs.open_runs()) == 1
    assert connection.records.manifest("default", first.jobs[0]).output == rule.output_of(
        "calls/a.wav"
    )


def test_a_full_cluster_is_not_given_more(
    connection: Cluster, rules: Rules, client: Any, put: Callable[..., str]
) -> None:
    settings = connection.settings.model_copy(update={"max_open_jobs": 1})
    intake = Intake(replace(connection, settings=settings), rules, client)
    first = put("calls/a.wav")
    taken = intake.take(first)
    with pytest.raises(ClusterFull):
        intake.take(put("calls/b.wav"))
    assert intake.take(first) == taken
    assert jobs(connection) == list(taken.jobs)


def test_a_tenants_own_bounds_do_not_hold_for_rules(
    connection: Cluster, rules: Rules, client: Any, put: Callable[..., str]
) -> None:
    few = {"jobs_in_flight": 1, "quotas": {"default": {"jobs_in_flight": 1.0}}}
    settings = connection.settings.model_copy(update=few)
    intake = Intake(replace(connection, settings=settings), rules, client)
    assert len({intake.take(put(f"calls/{name}.wav")).jobs for name in "abc"}) == 3


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [(503, "SlowDown", StoreUnavailable), (403, "AccessDenied", StoreRefused)],
)
def test_a_bucket_that_does_not_answer_leaves_the_message_for_later(
    intake: Intake,
    client: Any,
    put: Callable[..., str],
    status: int,
    code: str,
    expected: type[Exception],
) -> None:
    body = put("calls/a.wav")
    script = Script(client)
    script.answer("HeadObject", (status, code))
    with pytest.raises(expected):
        intake.take(body)
    script.undo()
    assert intake.take(body).jobs


def test_no_redis_leaves_the_message_for_later(
    connection: Cluster, rules: Rules, client: Any, put: Callable[..., str], no_redis: Any
) -> None:
    jobless = replace(connection, jobs=type(connection.jobs)(no_redis))
    with pytest.raises(RedisUnavailable):
        Intake(jobless, rules, client).take(put("calls/a.wav"))


def test_a_buried_message_is_kept_as_it_came(connection: Cluster, intake: Intake) -> None:
    intake.bury("m-1", b"\xffhello", IdempotencyConflict())
    kept = json.loads(connection.store.get(keys.dead_trigger("m-1")))
    assert (kept["body"], kept["error"]["code"]) == ("�hello", "idempotency_conflict")


def test_a_buried_message_is_counted_by_its_trigger_from_zero_on(
    connection: Cluster, rules: Rules, client: Any
) -> None:
    def counted() -> float | None:
        labels = {"trigger": "sqs"}
        return REGISTRY.get_sample_value("scriptorium_trigger_dead_letters_total", labels)

    trigger = Intake(connection, rules, client, "sqs")
    before = counted()
    assert before is not None
    trigger.bury("m-2", b"hello", IdempotencyConflict())
    assert counted() == before + 1


def test_an_intake_is_opened_by_the_path_of_its_rules(
    connection: Cluster, rules_file: Path, s3_endpoint: str, put: Callable[..., str]
) -> None:
    settings = connection.settings.model_copy(update={"s3_endpoint_url": s3_endpoint})
    opened = open_intake(replace(connection, settings=settings), rules_file)
    assert opened.take(put("calls/a.wav")).jobs

"""The tasks of the Celery contract, called here and now; a worker has a test of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from celery.exceptions import Retry
from redis.exceptions import ConnectionError as RedisConnectionError

from config.settings import settings
from gpu_worker.errors import StoreUnavailable
from orchestrator.access import QuotaExceeded
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.submitter import Submitter
from orchestrator.triggers import celery_tasks
from orchestrator.triggers.messages import RETRIES
from tasks.broker import VISIBILITY_SECONDS, make_app
from tests.inputs.examples import TENANT

SOURCE = "s3://in/talk.wav"
FAKE = {"model": "fake"}


@pytest.fixture
def cluster(connection: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """What the tasks are connected to."""
    values = connection.settings.model_copy(
        update={"source_buckets": "in", "message_tenants": "acme"}
    )
    changed = replace(connection, settings=values)
    monkeypatch.setattr(celery_tasks, "own_cluster", lambda: changed)
    yield changed


def call(
    task: Any, *arguments: Any, task_id: str = "message-1", retries: int = 0, **fields: Any
) -> Any:
    return task.apply(args=arguments, kwargs=fields, task_id=task_id, retries=retries).get()


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Submitter, "submit_named", fail)


def test_a_message_becomes_a_job_and_its_status_is_told(cluster: Cluster) -> None:
    reply = call(celery_tasks.submit, source=SOURCE, options=FAKE, metadata={"for": "me"})
    assert reply["contract"] == 1
    job = reply["job"]
    assert (job["status"], job["name"], job["metadata"]) == ("queued", "talk.wav", {"for": "me"})
    assert call(celery_tasks.status, job=job["id"])["job"]["id"] == job["id"]


def test_the_message_that_comes_again_gives_the_same_job(cluster: Cluster) -> None:
    first = call(celery_tasks.submit, source=SOURCE, options=FAKE)["job"]["id"]
    assert call(celery_tasks.submit, source=SOURCE, options=FAKE)["job"]["id"] == first
    other = call(celery_tasks.submit, task_id="message-2", source=SOURCE, options=FAKE)
    assert other["job"]["id"] != first
    assert len(cluster.jobs.newest(TENANT, 9)) == 2


def test_the_sender_s_key_is_worth_more_than_the_message_s_id(cluster: Cluster) -> None:
    ids = {
        call(celery_tasks.submit, task_id=name, source=SOURCE, options=FAKE, idempotency_key="k")[
            "job"
        ]["id"]
        for name in ("a", "b")
    }
    assert len(ids) == 1
    reply = call(celery_tasks.submit, source="s3://in/other.wav", options=FAKE, idempotency_key="k")
    assert reply["error"]["code"] == "idempotency_conflict"
    for empty in ("", "  "):
        refused = call(celery_tasks.submit, source=SOURCE, options=FAKE, idempotency_key=empty)
        assert "idempotency" in refused["error"]["message"]


def test_tenants_do_not_see_each_other(cluster: Cluster) -> None:
    job = call(celery_tasks.submit, source=SOURCE, options=FAKE, tenant="acme")["job"]
    assert job["tenant"] == "acme"
    assert call(celery_tasks.status, job=job["id"])["error"]["code"] == "unknown_job"
    assert call(celery_tasks.status, job=job["id"], tenant="acme")["job"]["id"] == job["id"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "invalid_request"),
        ({"source": SOURCE, "self": 1}, "invalid_request"),
        ({"source": "s3://elsewhere/x"}, "source_not_allowed"),
        ({"source": "no address"}, "invalid_option"),
        ({"source": SOURCE, "options": {"model": "no such"}}, "unknown_model"),
        ({"upload_id": "a" * 23}, "unknown_upload"),
        ({"source": SOURCE, "webhook_url": "http://127.0.0.1/"}, "webhook_not_allowed"),
        ({"source": SOURCE, "tenant": "other"}, "tenant_not_allowed"),
    ],
)
def test_a_bad_message_is_answered_and_not_raised(
    cluster: Cluster, fields: dict[str, Any], code: str
) -> None:
    reply = call(celery_tasks.submit, **fields)
    assert reply["error"]["code"] == code
    assert set(reply["error"]) == {"type", "code", "message", "hint"}


def test_arguments_without_names_are_answered_too(cluster: Cluster) -> None:
    assert call(celery_tasks.submit, SOURCE)["error"]["code"] == "invalid_request"
    assert call(celery_tasks.status, "x")["error"]["code"] == "invalid_request"


@pytest.mark.parametrize("error", [StoreUnavailable(), RedisConnectionError("away")])
def test_a_fault_that_may_pass_is_tried_again_and_told_at_last(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    failing(monkeypatch, error)
    delays = []

    def retry(**options: Any) -> Retry:
        delays.append(options["countdown"])
        assert options["queue"] == "submit"  # not the one that the message names
        return Retry()

    monkeypatch.setattr(celery_tasks.submit, "retry", retry)
    for tries in range(RETRIES):
        tried = celery_tasks.submit.apply(kwargs={"source": SOURCE}, retries=tries)
        assert tried.state == "RETRY"
    assert delays == sorted(delays) and delays[-1] < celery_tasks.VISIBILITY_SECONDS / 2
    last = celery_tasks.submit.apply(kwargs={"source": SOURCE}, retries=RETRIES)
    assert last.get()["error"]["type"] == "transient"


@pytest.mark.parametrize(
    ("error", "code"), [(QuotaExceeded(), "quota_exceeded"), (KeyError("x"), "internal_error")]
)
def test_what_will_not_pass_soon_is_answered_at_once(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    failing(monkeypatch, error)
    assert call(celery_tasks.submit, source=SOURCE)["error"]["code"] == code


def test_the_worker_reads_its_own_queue_and_leaves_the_stages_messages_alone() -> None:
    conf = celery_tasks.app.conf
    stages = make_app(settings()).conf
    assert [queue.name for queue in conf.task_queues] == ["submit"]
    assert conf.task_acks_late and not conf.task_create_missing_queues
    own, theirs = conf.broker_transport_options, stages.broker_transport_options
    assert own["visibility_timeout"] < theirs["visibility_timeout"] == VISIBILITY_SECONDS
    assert own["unacked_key"] and "unacked_key" not in theirs
    assert own["socket_timeout"] == theirs["socket_timeout"]


def test_a_connection_is_made_once(connection: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery_tasks, "settings", lambda: connection.settings)
    celery_tasks._open.cache_clear()
    found = celery_tasks.own_cluster()
    assert celery_tasks.own_cluster() is found
    found.close()
    celery_tasks._open.cache_clear()

"""One webhook when all lines of a collection have ended, also after deaths and a wipe."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from orchestrator.cluster.connection import Cluster
from orchestrator.collections import control, places
from orchestrator.collections.delivery import deliver_round, round_courier
from orchestrator.outbox.schedule import Step
from orchestrator.outbox.webhooks import webhook_secret
from tasks.artifacts import exists
from tasks.runs.units import Run
from tests.eventually import eventually
from tests.inputs.examples import TENANT
from tests.servers.receiver import Receiver
from tests.unit.orchestrator.collections.collected import (
    accepted,
    addresses,
    collecting,
    end_jobs,
)
from tests.unit.orchestrator.reconciler.passes import with_settings


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(503, 200) as opened:
        yield opened


@pytest.fixture
def cluster(connection: Cluster, receiver: Receiver) -> Cluster:
    return with_settings(
        connection,
        source_buckets="calls",
        allowed_models="fake",
        allow_urls=True,
        webhook_key=SecretStr("the cluster's key"),
        trusted_hosts=receiver.place,
        redelivery_factor=0.0,
    )


@contextmanager
def delivering(cluster: Cluster) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=round_courier(cluster).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_one_webhook_for_each_round_says_how_all_have_ended(
    cluster: Cluster, receiver: Receiver
) -> None:
    asked = {"webhook_url": receiver.url, "metadata": {"order": "7"}}
    collection = accepted(cluster, [*addresses(3), "s3://elsewhere/x.wav"], **asked)
    duty = collecting(cluster)
    with delivering(cluster):
        duty.go_on()
        duty.go_on()
        assert receiver.received == []
        end_jobs(cluster, "2.wav")
        duty.go_on()
        turn = Run(TENANT, collection.id, 1)
        assert eventually(lambda: exists(cluster.store, places.delivered(turn)))
        first, again = receiver.received  # the first try was answered by 503
        assert first.id == again.id == f"msg_{collection.id}_1"
        said = again.verified(webhook_secret(cluster.settings, TENANT))
        assert said["type"] == "collection.partial"
        assert said["data"]["id"] == collection.id
        assert said["data"]["metadata"] == {"order": "7"}
        counts = {name: it for name, it in said["data"]["counts"].items() if it}
        assert counts == {"total": 4, "completed": 2, "failed": 1, "refused": 1}

        control.retry(cluster, TENANT, collection.id)
        duty.go_on()
        end_jobs(cluster)
        duty.go_on()
        assert eventually(lambda: len(receiver.received) == 3)
        assert receiver.received[2].id == f"msg_{collection.id}_2"
    assert eventually(lambda: not list(cluster.store.list(places.OWED)))


def test_a_webhook_tells_how_its_round_has_ended_whatever_was_retried_since(
    cluster: Cluster, receiver: Receiver
) -> None:
    collection = accepted(cluster, addresses(3), webhook_url=receiver.url)
    duty = collecting(cluster)
    duty.go_on()
    end_jobs(cluster, "2.wav")
    duty.go_on()
    control.retry(cluster, TENANT, collection.id)
    duty.go_on()
    with delivering(cluster):
        assert eventually(lambda: len(receiver.received) == 2)
    said = receiver.received[1].verified(webhook_secret(cluster.settings, TENANT))
    counts = {name: it for name, it in said["data"]["counts"].items() if it}
    assert (said["type"], said["data"]["status"]) == ("collection.partial", "partial")
    assert counts == {"total": 3, "completed": 2, "failed": 1}


def test_what_is_owed_is_due_again_after_a_wipe(cluster: Cluster, receiver: Receiver) -> None:
    collection = accepted(cluster, addresses(1), webhook_url=receiver.url)
    duty = collecting(cluster)
    duty.go_on()
    end_jobs(cluster)
    duty.go_on()
    cluster.redis.flushall()
    duty = collecting(cluster)
    duty.end_deletions()
    with delivering(cluster):
        assert eventually(lambda: len(receiver.received) == 2)
    assert receiver.received[0].id == f"msg_{collection.id}_1"


def test_nothing_is_owed_of_what_has_not_ended_or_is_gone(
    cluster: Cluster, receiver: Receiver
) -> None:
    collection = accepted(cluster, addresses(1), webhook_url=receiver.url)
    for turn in (Run(TENANT, collection.id, 1), Run(TENANT, "c-0", 1)):
        assert deliver_round(cluster, turn, pytest.fail) == Step()

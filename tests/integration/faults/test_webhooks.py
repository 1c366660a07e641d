"""A receiver hears of every job's end, whichever process dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from config.settings import Settings
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.local.programs import settings_environment
from orchestrator.outbox.webhooks import webhook_secret
from tasks.runs import keys
from tasks.runs.manifest import Output
from tasks.runs.submitted_options import job_options
from tasks.runs.units import Run
from tests import ROOT
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT, ClusterUnderTest
from tests.integration.conftest import StartCluster
from tests.servers.receiver import Receiver

OPTIONS = {"model": "fake", "language": "en", "aligner": "cross_attention"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def allowing(receiver: Receiver) -> dict[str, Any]:
    return {
        "allow_urls": True,
        "webhook_key": SecretStr("the cluster's key"),
        "trusted_hosts": receiver.place,
        "redelivery_factor": 0.01,
    }


def submitted(cluster: ClusterUnderTest, path: Path, url: str, output: Output | None = None) -> str:
    source = upload(cluster.connection, path, TENANT)
    job = submit(
        cluster.connection,
        source,
        job_options(OPTIONS),
        tenant=TENANT,
        webhook_url=url,
        output=output,
        metadata={"order": "7"},
    )
    assert cluster.wait(job).status == "completed"
    return job.id


def is_delivered(cluster: ClusterUnderTest) -> bool:
    return list(cluster.connection.store.list(keys.OUTBOX)) == []


@pytest.mark.fault(
    "a webhook's receiver answers 500",
    "tried again under one id, after the files are there",
)
def test_a_whole_cluster_tells_the_receiver_after_the_files_are_in_their_bucket(
    start_cluster: StartCluster,
    tmp_path: Path,
    s3_endpoint: str,
    s3_shared_client: Any,
    bucket: str,
    receiver: Receiver,
) -> None:
    cluster = start_cluster(workers=1, s3_endpoint_url=s3_endpoint, **allowing(receiver))
    found: list[str] = []

    def look() -> None:
        listed = s3_shared_client.list_objects_v2(Bucket=bucket).get("Contents", ())
        found.extend(item["Key"] for item in listed)

    receiver.before_answer = look
    output = Output(url=f"s3://{bucket}/transcripts/talk", formats=("json", "vtt"))
    path = write_wav(tmp_path / "talk.wav", recording(12, seed=1)[0])
    job = submitted(cluster, path, receiver.url, output)
    cluster.wait_until(lambda: is_delivered(cluster))
    (told,) = receiver.received
    said = told.verified(webhook_secret(cluster.connection.settings, TENANT))
    assert (said["type"], said["data"]["id"]) == ("job.completed", job)
    assert said["data"]["metadata"] == {"order": "7"}
    assert found == ["transcripts/talk.json", "transcripts/talk.vtt"]


def reconciling(settings: Settings, home: Path) -> subprocess.Popen[bytes]:
    """`scriptorium reconciler`, which has a courier, as a process of its own."""
    environment = settings_environment(settings, os.environ)
    with (home / "reconciler.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", "reconciler"],
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@pytest.mark.fault(
    "kill -9 of the courier at any moment",
    "delivered under one id",
)
def test_the_courier_may_die_at_any_moment_of_a_delivery(
    start_cluster: StartCluster, tmp_path: Path, receiver: Receiver
) -> None:
    """Killed while the receiver answers, again and again: one effective id, nothing lost."""
    cluster = start_cluster(workers=1, **allowing(receiver))
    path = write_wav(tmp_path / "talk.wav", recording(12, seed=1)[0])
    cluster.local._stop.set()  # its own courier: the ones below do the work
    for thread in cluster.local._threads:
        thread.join()
    settings = cluster.connection.settings
    kills = 3
    couriers = [reconciling(settings, tmp_path)]

    def kill() -> None:
        if len(couriers) <= kills:
            os.killpg(couriers[-1].pid, signal.SIGKILL)
            couriers.append(reconciling(settings, tmp_path))

    receiver.before_answer = kill
    try:
        job = submitted(cluster, path, receiver.url)
        cluster.wait_until(lambda: is_delivered(cluster), seconds=90.0)
    finally:
        for courier in couriers:
            if courier.poll() is None:
                os.killpg(courier.pid, signal.SIGTERM)
            courier.wait(30)
    assert couriers[-1].returncode == 0
    assert len(couriers) == kills + 1
    assert len({told.id for told in receiver.received}) == 1
    secret = webhook_secret(settings, TENANT)
    for told in receiver.received:
        assert told.verified(secret)["data"]["id"] == job
    record = keys.delivered(Run(TENANT, job, 1), "webhook")
    assert json.loads(cluster.connection.store.get(record))["status"] == "delivered"

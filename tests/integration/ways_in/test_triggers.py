"""Objects put into a bucket become jobs, one each: real poller, notifications and queue (moto)."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import boto3.session
import pytest

from orchestrator.cluster.job import Job, Status
from orchestrator.cluster.listed_jobs import listed_jobs
from tasks.runs import keys
from tests.inputs.event_bodies import event_bridge, minio, raw, sns
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT, ClusterUnderTest
from tests.integration.conftest import StartCluster

KEYS = [
    "calls/plain.wav",
    "calls/two words.wav",
    "calls/one+one.wav",
    "calls/50%25.wav",
    "calls/%2F %zz.wav",
    "calls/Grüße/漢字 😀.wav",
    "calls/a=b&c?d#e.wav",
]
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
aligner = "cross_attention"
"""
FORMATS = ("json", "srt")
VISIBILITY_SECONDS = 3  # of a message that a killed poller had in hand


class Account:
    """A bucket that tells a queue of its objects, each in three ways."""

    def __init__(self, endpoint: str, bucket: str) -> None:
        session = boto3.session.Session()
        self.s3, self.queues, self._topics, self._bridge = (
            session.client(name, endpoint_url=endpoint) for name in ("s3", "sqs", "sns", "events")
        )
        self.bucket = bucket
        name = f"test-{uuid4().hex}"
        timeout = {"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        self.queue_url = self.queues.create_queue(QueueName=name, Attributes=timeout)["QueueUrl"]
        self._arn = self._attributes()["QueueArn"]

    def notify(self) -> None:
        """Straight to the queue, through a topic, and through EventBridge."""
        topic = self._topics.create_topic(Name=self.bucket)["TopicArn"]
        self._topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self._arn)
        pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [self.bucket]}}}
        self._bridge.put_rule(Name=self.bucket, EventPattern=json.dumps(pattern))
        self._bridge.put_targets(Rule=self.bucket, Targets=[{"Id": "q", "Arn": self._arn}])
        created = ["s3:ObjectCreated:*"]
        self.s3.put_bucket_notification_configuration(
            Bucket=self.bucket,
            NotificationConfiguration={
                "QueueConfigurations": [{"QueueArn": self._arn, "Events": created}],
                "TopicConfigurations": [{"TopicArn": topic, "Events": created}],
                "EventBridgeConfiguration": {},
            },
        )

    def send(self, body: str) -> str:
        sent = self.queues.send_message(QueueUrl=self.queue_url, MessageBody=body)
        return str(sent["MessageId"])

    def keys(self, prefix: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return sorted(item["Key"] for item in found.get("Contents", ()))

    def get(self, key: str) -> str:
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body.decode()

    def waiting(self) -> int:
        """Messages in the queue or in hand."""
        found = self._attributes()
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(found[name]) for name in names)

    def _attributes(self) -> dict[str, str]:
        """All of one moment."""
        reply = self.queues.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["All"])
        found: dict[str, str] = reply["Attributes"]
        return found


@pytest.fixture
def account(s3_endpoint: str, bucket: str) -> Account:
    return Account(s3_endpoint, bucket)


@pytest.fixture
def start_poller(
    account: Account, s3_endpoint: str, tmp_path: Path
) -> Iterator[Callable[[ClusterUnderTest], subprocess.Popen[bytes]]]:
    """Start pollers as a user would; they end with the test."""
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES.format(bucket=account.bucket))
    log = (tmp_path / "poller.log").open("ab")
    started: list[subprocess.Popen[bytes]] = []

    def start(cluster: ClusterUnderTest) -> subprocess.Popen[bytes]:
        settings = cluster.connection.settings
        assert settings.redis_url is not None and settings.store_url is not None
        command = [sys.executable, "-m", "orchestrator.cli", "triggers", "sqs"]
        command += ["--queue-url", account.queue_url, "--rules", str(rules)]
        environment = os.environ | {
            "SCRIPTORIUM_REDIS_URL": settings.redis_url.get_secret_value(),
            "SCRIPTORIUM_STORE_URL": settings.store_url,
            "SCRIPTORIUM_HOME": str(tmp_path / "poller"),
            "AWS_ENDPOINT_URL": s3_endpoint,
        }
        started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        return started[-1]

    yield start
    for poller in started:
        poller.kill()
        poller.wait()
    log.close()


def put(account: Account, path: Path, key: str, seed: int) -> None:
    write_wav(path, recording(2, seed=seed)[0])
    account.s3.upload_file(str(path), account.bucket, key)


def jobs(cluster: ClusterUnderTest) -> list[Job]:
    found = listed_jobs(cluster.connection, TENANT, 1000)
    return [cluster.connection.job(TENANT, job) for _, job in found]


def _has_more_sources(cluster: ClusterUnderTest, than: int) -> bool:
    return len(sources(cluster)) > than


def sources(cluster: ClusterUnderTest) -> list[str]:
    """What every job was made of, in order."""
    found = listed_jobs(cluster.connection, TENANT, 1000)
    records = cluster.connection.records
    return sorted(str(records.manifest(TENANT, job).source.url) for _, job in found)


def all_ended(cluster: ClusterUnderTest) -> bool:
    return all(job.status.final for job in jobs(cluster))


def test_each_object_is_transcribed_once_however_its_events_come(
    start_cluster: StartCluster,
    start_poller: Callable[[ClusterUnderTest], subprocess.Popen[bytes]],
    account: Account,
    s3_endpoint: str,
    tmp_path: Path,
) -> None:
    cluster = start_cluster(workers=2, s3_endpoint_url=s3_endpoint)
    dice = random.Random(4)
    account.notify()  # which sends S3's test events, too
    for seed, key in enumerate(KEYS):
        put(account, tmp_path / "speech.wav", key, seed)
    put(account, tmp_path / "speech.wav", "other/not asked for.wav", 1)
    account.s3.put_object(Bucket=account.bucket, Key="calls/gone.wav", Body=b"soon")
    account.s3.delete_object(Bucket=account.bucket, Key="calls/gone.wav")

    forms = [raw, minio, event_bridge, lambda *named: sns(raw(*named))]
    again = [form(account.bucket, key) for form in forms for key in KEYS]
    malformed = ["hello", "{}", sns("[]"), raw(account.bucket, "x").replace('"x"', '"%FF"')]
    bodies = [*again, *malformed, json.dumps({"Event": "s3:TestEvent"})]
    dice.shuffle(bodies)
    sent = {account.send(body): body for body in bodies}

    poller = start_poller(cluster)
    cluster.wait_until(lambda: account.waiting() == 0, seconds=120)
    expected = sorted(f"s3://{account.bucket}/{key}" for key in KEYS)
    assert sources(cluster) == expected
    cluster.wait_until(lambda: all_ended(cluster), seconds=240)
    assert {job.status for job in jobs(cluster)} == {Status.COMPLETED}

    written = sorted(
        f"transcripts/{key.removeprefix('calls/')}.{form}" for key in KEYS for form in FORMATS
    )
    cluster.wait_until(lambda: account.keys("transcripts/") == written, seconds=60)
    for job in jobs(cluster):
        output = cluster.connection.records.manifest(TENANT, job.id).output
        assert output is not None
        text = cluster.result(job)["transcript"]["text"]
        place = output.url.removeprefix(f"s3://{account.bucket}/")
        assert json.loads(account.get(f"{place}.json"))["text"] == text
        assert account.get(f"{place}.srt").startswith("1\n00:00:0")

    for body in again:  # long after, and behind the events of the transcripts
        account.send(body)
    cluster.wait_until(lambda: account.waiting() == 0, seconds=60)
    assert sources(cluster) == expected

    store = cluster.connection.store
    buried = [json.loads(store.get(key)) for key in store.list(keys.DEAD_TRIGGERS)]
    assert sorted(letter["body"] for letter in buried) == sorted(malformed)
    assert all(sent[name] in malformed for name in names_of(list(store.list(keys.DEAD_TRIGGERS))))
    poller.terminate()
    assert poller.wait(30) == 0


def names_of(found: list[str]) -> list[str]:
    return [key.removeprefix(keys.DEAD_TRIGGERS).removesuffix(".json") for key in found]


@pytest.mark.heavy
def test_no_object_is_lost_when_pollers_are_killed(
    start_cluster: StartCluster,
    start_poller: Callable[[ClusterUnderTest], subprocess.Popen[bytes]],
    account: Account,
    s3_endpoint: str,
    tmp_path: Path,
) -> None:
    cluster = start_cluster(workers=1, s3_endpoint_url=s3_endpoint)
    seed = 20_4
    dice = random.Random(seed)
    account.notify()
    expected = []
    kills_with_work = 0
    for life in range(6):
        for number in range(5):
            key = f"calls/{life} {number}.wav"
            put(account, tmp_path / "speech.wav", key, number)
            expected.append(f"s3://{account.bucket}/{key}")
        known = len(sources(cluster))
        poller = start_poller(cluster)
        cluster.wait_until(partial(_has_more_sources, cluster, known))
        try:
            poller.wait(dice.uniform(0.0, 0.2))
        except subprocess.TimeoutExpired:
            poller.kill()
        assert poller.wait(10) == -9
        kills_with_work += account.waiting() > 0
    assert kills_with_work > 0, f"no kill came in time (seed {seed})"

    poller = start_poller(cluster)
    cluster.wait_until(lambda: account.waiting() == 0, seconds=120)
    assert sources(cluster) == sorted(expected), f"seed {seed}"
    cluster.wait_until(lambda: all_ended(cluster), seconds=240)
    assert {job.status for job in jobs(cluster)} == {Status.COMPLETED}
    cluster.wait_until(
        lambda: len(account.keys("transcripts/")) == len(FORMATS) * len(expected), seconds=60
    )
    poller.terminate()
    assert poller.wait(30) == 0

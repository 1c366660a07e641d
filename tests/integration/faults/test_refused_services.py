"""A process does not begin on a Redis or a store with which a cluster would lose work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli.context import EXIT_FAILED, EXIT_USAGE
from orchestrator.local.redis_server import RedisServer
from tests.servers.redis_process import redis_process
from tests.servers.s3_proxy import S3Proxy

BEGINS = (("serve", "--port", "0"), ("reconciler",))
SECONDS = 60.0


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    server = RedisServer(tmp_path)
    server.start()
    yield server.url
    server.stop()


def ended(command: tuple[str, ...], **environment: str) -> tuple[int, str]:
    """The status with which a command ends by itself, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", *command],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, " ".join(done.stderr.split())


@pytest.mark.fault(
    "the object store ignores conditional writes",
    "API and reconciler end at their start, and say so",
)
def test_no_process_begins_on_a_store_that_overwrites(
    s3_endpoint: str, bucket: str, redis_url: str
) -> None:
    with S3Proxy(s3_endpoint, without={"if-none-match"}) as server:
        for command in BEGINS:
            status, said = ended(
                command,
                REDIS_URL=redis_url,
                SCRIPTORIUM_STORE_URL=f"s3://{bucket}/prefix",
                AWS_ENDPOINT_URL_S3=server.url,
            )
            assert status == EXIT_FAILED
            assert "store_unsupported" in said and "If-None-Match" in said


@pytest.mark.fault(
    "Redis is a cluster, or evicts keys",
    "processes end at their start, and say so",
)
@pytest.mark.parametrize(
    ("configuration", "command"),
    [
        ("cluster-enabled yes\n", ("worker", "--pool", "cpu")),
        ("maxmemory 100mb\nmaxmemory-policy allkeys-lru\n", ("reconciler",)),
    ],
    ids=["cluster", "eviction"],
)
def test_no_process_begins_on_a_redis_that_a_cluster_cannot_use(
    tmp_path: Path, configuration: str, command: tuple[str, ...]
) -> None:
    with redis_process(tmp_path, configuration) as port:
        status, said = ended(
            command,
            REDIS_URL=f"redis://127.0.0.1:{port}/0",
            SCRIPTORIUM_STORE_URL=(tmp_path / "store").as_uri(),
        )
        assert status == EXIT_USAGE
        assert "redis_unsupported" in said

"""A store that replaces objects is refused at the start; one that is away is waited for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gpu_worker.errors import StoreRefused
from orchestrator.cluster.store_requirements import (
    PROBES,
    check_store_at_start,
    check_written_once,
)
from tasks.artifacts import ArtifactStore, StoreUnsupported
from tasks.artifacts.opening import Patience, open_store
from tests.servers.s3_proxy import Kind, Plan, S3Proxy

HASTY = Patience(1.0, 1.0, 1)


@pytest.fixture
def forgetful(s3_endpoint: str) -> Iterator[S3Proxy]:
    """A server of S3 that ignores conditions, as some that speak its protocol do."""
    with S3Proxy(s3_endpoint, without={"if-none-match"}) as server:
        yield server


def opened(bucket: str, url: str) -> ArtifactStore:
    return open_store(f"s3://{bucket}/prefix", endpoint_url=url, patience=HASTY)


def left(bucket: str, url: str) -> list[str]:
    return list(opened(bucket, url).list(PROBES))


def test_a_server_that_writes_once_is_taken_and_nothing_is_left(
    bucket: str, s3_endpoint: str
) -> None:
    check_store_at_start(opened(bucket, s3_endpoint))
    assert left(bucket, s3_endpoint) == []


def test_a_server_that_ignores_the_condition_is_refused(
    bucket: str, forgetful: S3Proxy, s3_endpoint: str
) -> None:
    with pytest.raises(StoreUnsupported, match="ignores If-None-Match") as refused:
        check_store_at_start(opened(bucket, forgetful.url))
    assert refused.value.code == "store_unsupported"
    assert "docs/artifacts.md" in refused.value.advice
    assert left(bucket, s3_endpoint) == []


@pytest.mark.parametrize("kind", [Kind.SLOW_DOWN, Kind.DENIED])
def test_a_server_that_is_away_or_refuses_is_said_and_ends_no_process(
    bucket: str, s3_endpoint: str, kind: Kind
) -> None:
    with S3Proxy(s3_endpoint) as proxy, capture_logs() as lines:
        proxy.begin(Plan(1, 1.0, (kind,)))
        check_store_at_start(opened(bucket, proxy.url))
    assert [line["event"] for line in lines] == ["store_not_tried"]


def test_a_directory_writes_once_and_a_file_in_its_place_is_said(tmp_path: Path) -> None:
    check_written_once(open_store((tmp_path / "store").as_uri()))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreRefused):
        check_written_once(open_store((tmp_path / "file").as_uri()))
    with capture_logs() as lines:
        check_store_at_start(open_store((tmp_path / "file").as_uri()))
    assert lines[0]["event"] == "store_not_tried"

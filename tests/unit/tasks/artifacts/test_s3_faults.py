"""What the store makes of a server's faults, each of them injected by the proxy of the tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gpu_worker.errors import ScriptoriumError, StoreRefused, StoreUnavailable
from tasks.artifacts.s3 import S3Store, s3_client
from tasks.artifacts.s3_faults import REFUSED_ATTEMPTS
from tests.eventually import PATIENCE_SECONDS
from tests.servers.s3_proxy import Kind, Plan, S3Proxy

ALWAYS = 1.0


@pytest.fixture
def proxy(s3_endpoint: str) -> Iterator[S3Proxy]:
    with S3Proxy(s3_endpoint) as proxy:
        yield proxy


@pytest.fixture
def store(proxy: S3Proxy, bucket: str) -> S3Store:
    return S3Store(bucket, "", s3_client(proxy.url, attempts=1))


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (Kind.INTERNAL_ERROR, StoreUnavailable),
        (Kind.SLOW_DOWN, StoreUnavailable),
        (Kind.DENIED, StoreRefused),
        (Kind.EXPIRED, StoreUnavailable),
        (Kind.RESET, StoreUnavailable),
        (Kind.TRUNCATED, StoreUnavailable),
        (Kind.HANG, StoreUnavailable),
    ],
)
def test_every_fault_of_a_server_is_one_of_ours(
    proxy: S3Proxy, store: S3Store, tmp_path: Path, kind: Kind, error: type[ScriptoriumError]
) -> None:
    store.put("key", b"data")
    proxy.begin(Plan(1, ALWAYS, [kind], hang_seconds=0.05))
    uses = (
        lambda: store.get("key"),
        lambda: store.fetch("key", tmp_path / "copy"),
        lambda: store.size("key"),
        lambda: list(store.list("")),
        lambda: store.put("other", b"data"),
    )
    for use in uses:
        with pytest.raises(error) as caught:
            use()
        assert type(caught.value) is error
    assert list(tmp_path.iterdir()) == []
    assert proxy.injected[kind] >= len(uses)  # boto3 looks for the region of a bucket once more
    proxy.end()
    assert store.get("key") == b"data"


def test_a_reply_that_comes_late_is_a_reply(proxy: S3Proxy, store: S3Store) -> None:
    proxy.begin(Plan(1, ALWAYS, [Kind.LATENCY], latency_seconds=0.05))
    assert store.put("key", b"data") is True
    assert store.get("key") == b"data"


def persist(use: Callable[..., object], *given: object) -> object:
    """As a worker does."""
    for _ in range(9):
        with suppress(StoreUnavailable, StoreRefused):
            return use(*given)
    return use(*given)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_one_fault_in_five_requests_changes_nothing_that_is_stored(
    proxy: S3Proxy, bucket: str, tmp_path: Path, seed: int
) -> None:
    store = S3Store(bucket, "", s3_client(proxy.url))
    proxy.begin(Plan(seed, 0.2, latency_seconds=0.02, hang_seconds=0.02))
    (tmp_path / "file").write_bytes(bytes(range(256)) * 1000)
    for number in range(20):
        persist(store.put_file, f"key/{number:02}", tmp_path / "file")
        persist(store.fetch, f"key/{number:02}", tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == (tmp_path / "file").read_bytes()
    listed = persist(lambda: list(store.list("key/")))
    assert listed == [f"key/{number:02}" for number in range(20)]
    assert proxy.injected.total() >= 3, str(proxy)


@pytest.mark.parametrize(
    ("kind", "error"), [(Kind.DENIED, StoreRefused), (Kind.EXPIRED, StoreUnavailable)]
)
def test_a_request_that_is_refused_is_sent_a_few_times_and_the_door_hears_of_it_soon(
    proxy: S3Proxy, bucket: str, kind: Kind, error: type[ScriptoriumError]
) -> None:
    store = S3Store(bucket, "", s3_client(proxy.url))
    proxy.begin(Plan(1, ALWAYS, [kind]))
    begun_at = time.monotonic()
    with pytest.raises(error):
        store.get("key")
    assert time.monotonic() - begun_at < PATIENCE_SECONDS / 3  # 0.3 s, and a busy machine is late
    assert proxy.injected[kind] == REFUSED_ATTEMPTS


@pytest.mark.slow
def test_a_unit_that_reads_much_is_not_failed_by_one_refusal_in_five(
    proxy: S3Proxy, bucket: str
) -> None:
    """Without a second try of each request it succeeds once in 7,000 times."""
    store = S3Store(bucket, "", s3_client(proxy.url))
    keys = [f"chunk/{number:02}" for number in range(40)]
    for key in keys:
        store.put(key, key.encode())
    proxy.begin(Plan(3, 0.2, [Kind.DENIED, Kind.EXPIRED, Kind.TRUNCATED]))
    assert persist(lambda: [store.get(key) for key in keys]) == [key.encode() for key in keys]


def test_equal_seeds_draw_equal_faults() -> None:
    first, again, other = (Plan(seed, 0.2) for seed in (7, 7, 8))
    drawn = [[plan.draw() for _ in range(200)] for plan in (first, again, other)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert 20 < sum(fault is not None for fault in drawn[0]) < 60
    assert {fault.kind for fault in drawn[0] if fault} == set(Kind)

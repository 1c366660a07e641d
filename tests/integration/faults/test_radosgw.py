"""A second S3: Ceph's gateway, which checks signatures and has conditional writes of its own.

What every store promises (tests/unit/tasks/artifacts) is held against this one too.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gpu_worker.errors import StoreRefused
from orchestrator.diagnosis.services import check_store
from tasks.artifacts.s3 import MULTIPART_BYTES, S3Store, s3_client
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import quick_settings
from tests.integration.conftest import StartCluster
from tests.integration.faults.conftest import Figure
from tests.servers.radosgw import Login, RadosGateway, rados_gateway
from tests.unit.tasks.artifacts import test_artifacts as contract

pytestmark = pytest.mark.heavy

WRITERS, RACES = 50, 20
KEYS = 10_000
SILENT_SECONDS = 6.0
CLOSING_SECONDS = 30.0

# The tests of that module that take the fixture `store` run here again, with the one below.
globals().update(
    (name, test)
    for name, test in vars(contract).items()
    if name.startswith("test_") and "store" in inspect.signature(test).parameters
)


@pytest.fixture(scope="module")
def ceph() -> Iterator[tuple[RadosGateway, Login]]:
    with rados_gateway() as running, pytest.MonkeyPatch.context() as environment:
        for name, value in running[1].environment.items():
            environment.setenv(name, value)
        environment.delenv("AWS_PROFILE", raising=False)
        yield running


@pytest.fixture
def gateway(ceph: tuple[RadosGateway, Login]) -> RadosGateway:
    return ceph[0]


@pytest.fixture(scope="module")
def client(ceph: tuple[RadosGateway, Login]) -> Any:
    return s3_client(ceph[0].endpoint)


@pytest.fixture
def bucket(client: Any) -> str:
    name = f"test-{uuid4().hex}"
    client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def store(client: Any, bucket: str) -> S3Store:
    return S3Store(bucket, "some/prefix", client)


@pytest.mark.fault(
    f"{WRITERS} writers race for one key of Ceph's S3 gateway, {RACES} times",
    "each time exactly one is told that it has written, and its bytes stay",
)
def test_one_of_fifty_writers_wins_each_race(
    store: S3Store, gateway: RadosGateway, figure: Figure
) -> None:
    winners = []
    with ThreadPoolExecutor(WRITERS) as pool:
        for race in range(RACES):
            barrier = Barrier(WRITERS)

            def write(number: int, key: str = f"raced/{race}", barrier: Barrier = barrier) -> bool:
                barrier.wait()
                return store.put(key, b"%02d" % number * 1000)

            won = list(pool.map(write, range(WRITERS)))
            winners.append(won.count(True))
            assert store.get(f"raced/{race}") == b"%02d" % won.index(True) * 1000
    figure(f"radosgw {gateway.version()}: winners of {RACES} races: {sorted(set(winners))}")
    assert winners == [1] * RACES


@pytest.mark.fault(
    "a presigned address of Ceph's S3 gateway is used for another size, or late",
    "the gateway refuses it, and keeps nothing",
)
def test_a_presigned_address_takes_its_size_in_its_time_alone(
    store: S3Store, figure: Figure
) -> None:
    address = store.presigned_put("uploads/one", 5, 60)
    assert address is not None

    def statuses(*bodies: bytes | Iterator[bytes]) -> list[int]:
        return [httpx.put(address, content=body, trust_env=False).status_code for body in bodies]

    refused = statuses(b"", b"soun", b"sounds", iter([b"sound"]))  # the last without a length
    assert refused == [403] * 4
    assert store.size("uploads/one") is None
    assert statuses(b"sound") == [200]
    assert store.get("uploads/one") == b"sound"
    late = store.presigned_put("uploads/two", 5, 1)
    assert late is not None
    time.sleep(2.5)
    expired = httpx.put(late, content=b"sound", trust_env=False).status_code
    figure(f"wrong sizes: {refused}, expired: {expired}")
    assert expired == 403
    assert store.size("uploads/two") is None


USES: list[Callable[[S3Store], object]] = [
    lambda store: store.put("key", b"x"),
    lambda store: store.get("key"),
    lambda store: store.size("key"),
    lambda store: store.delete("key"),
    lambda store: list(store.list("")),
]


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials_are_refused_in_a_sentence(
    gateway: RadosGateway, bucket: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "wrong")
    store = S3Store(bucket, "", s3_client(gateway.endpoint))
    for use in USES:
        with pytest.raises(StoreRefused, match=bucket) as refused:
            use(store)
        assert "None" not in str(refused.value)


def test_a_missing_bucket_is_refused_by_name(client: Any) -> None:
    store = S3Store("no-such-bucket", "", client)
    for use in (*USES[:2], *USES[3:]):
        with pytest.raises(StoreRefused, match="no bucket 'no-such-bucket'") as told:
            use(store)
        assert "None" not in str(told.value)  # the gateway's errors have a code and no text
        assert told.value.advice.startswith("Create it")


def test_ten_thousand_keys_are_listed_in_order(store: S3Store, figure: Figure) -> None:
    keys = [f"chunks/{number:05}.json" for number in range(KEYS)]
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda key: store.put(key, b"x"), reversed(keys)))
    began = time.monotonic()
    assert list(store.list("chunks/")) == keys
    figure(f"{KEYS} keys listed in {time.monotonic() - began:.1f} s")
    assert list(store.list("chunks/0999")) == keys[9990:]


def test_a_large_file_goes_up_in_parts_and_comes_back(
    store: S3Store, client: Any, bucket: str, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"0123456789abcdef" * (MULTIPART_BYTES // 16 + 1))
    assert store.put_file("large", large) is True
    assert store.put_file("large", large) is False
    store.fetch("large", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == large.read_bytes()
    assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_the_doctor_tells_whether_large_files_are_written_once(
    gateway: RadosGateway, bucket: str, store: S3Store, tmp_path: Path, figure: Figure
) -> None:
    """radosgw 16 ignores `If-None-Match` where an upload in parts ends; later ones may not."""
    result = check_store(
        quick_settings(tmp_path, store_url=f"s3://{bucket}", s3_endpoint_url=gateway.endpoint)
    )
    source = tmp_path / "source"
    source.write_bytes(b"in parts")
    store.put("key", b"whole")
    with source.open("rb") as file:
        is_written_again = store.put_in_parts("key", file)
    figure(f"radosgw {gateway.version()} overwrites in parts: {is_written_again}; {result.message}")
    assert result.state == ("warning" if is_written_again else "ok")
    assert ("in parts" in result.message) == is_written_again
    assert list(S3Store(bucket, "", s3_client(gateway.endpoint)).list("doctor/")) == []


@pytest.mark.fault(
    f"the disk's process of a Ceph is stopped for {SILENT_SECONDS:.0f} s during a job, twice",
    "the job is only later, and its result is that of another store byte by byte",
)
def test_a_whole_cluster_on_ceph_waits_for_a_silent_disk(
    start_cluster: StartCluster, tmp_path: Path, gateway: RadosGateway, bucket: str, figure: Figure
) -> None:
    path = write_wav(tmp_path / "speech.wav", recording(60, seed=95)[0])
    chosen = {
        "model": "fake", "chunk_seconds": 6.0, "language": "en", "aligner": "ctc",
        "diarize": True, "shard_seconds": 16.0,
    }  # fmt: skip
    cluster = start_cluster(
        workers=2, store_url=f"s3://{bucket}/scriptorium", s3_endpoint_url=gateway.endpoint
    )
    began = time.monotonic()
    job = cluster.submit(path, **chosen)
    for _ in range(2):
        with gateway.silent_disk():
            time.sleep(SILENT_SECONDS)
        time.sleep(1.0)
    ended = cluster.wait(job)
    seconds = time.monotonic() - began
    local = start_cluster(workers=1, name="local")
    same = local.wait(local.submit(path, **chosen))
    figure(f"{ended.status} after {seconds:.0f} s, {2 * SILENT_SECONDS:.0f} s of them in silence")
    assert ended.status == same.status == "completed"
    assert cluster.result_bytes(ended) == local.result_bytes(same)
    # A result is there before the last of its marks is taken away.
    cluster.wait_until(
        lambda: not list(cluster.connection.store.list("open/")), seconds=CLOSING_SECONDS
    )

"""What every artifact store promises, held against all three."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import pytest

from gpu_worker.errors import InvalidOption
from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.artifacts.opening import open_store

FIVE_MEGABYTES = os.urandom(5_000_000)
BAD_KEYS = [
    "",
    "/etc/passwd",
    "../up",
    "a/../b",
    "a//b",
    "a/",
    "./a",
    "nul\x00",
    "new\nline",
    ".incoming/x",
    "half \ud800 pair",
    "x" * 300,
    "x/" * 600 + "x",
]


@pytest.fixture(params=["memory", "local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    if request.param == "memory":
        return open_store(f"memory://{uuid4().hex}")
    if request.param == "local":
        return open_store(f"file://{tmp_path}/store")
    from tasks.artifacts.s3 import S3Store

    client, bucket = map(request.getfixturevalue, ("s3_shared_client", "bucket"))
    return S3Store(bucket, "some/prefix", client)


def test_what_was_put_is_read_back(store: ArtifactStore) -> None:
    assert store.put("jobs/1/plan.json", b"{}") is True
    assert store.get("jobs/1/plan.json") == b"{}"
    assert store.size("jobs/1/plan.json") == 2


def test_a_second_put_is_refused_and_leaves_the_bytes(store: ArtifactStore, tmp_path: Path) -> None:
    store.put("key", b"first")
    second = tmp_path / "second"
    second.write_bytes(b"second")
    assert store.put("key", b"second") is False
    assert store.put("key", b"first") is False
    assert store.put_file("key", second) is False
    assert store.get("key") == b"first"


def test_one_of_twenty_threads_wins_and_its_bytes_stay(store: ArtifactStore) -> None:
    barrier = Barrier(20)

    def race(number: int) -> bool:
        barrier.wait()
        return store.put("raced", b"%02d" % number * 1000)

    with ThreadPoolExecutor(20) as pool:
        won = list(pool.map(race, range(20)))
    assert won.count(True) == 1
    assert store.get("raced") == b"%02d" % won.index(True) * 1000


def test_a_range_is_read_and_ends_with_the_artifact(store: ArtifactStore) -> None:
    digits = b"0123456789"
    store.put("digits", digits)
    assert store.get("digits") == digits
    assert store.get("digits", 3, 4) == b"3456"
    assert store.get("digits", 3) == b"3456789"
    assert store.get("digits", 0, 1) == b"0"
    assert store.get("digits", 8, 10) == b"89"
    assert store.get("digits", 0, 1 << 40) == digits
    assert store.get("digits", 0, 0) == store.get("digits", 4, 0) == b""
    assert (
        store.get("digits", 10, 5) == store.get("digits", 99) == store.get("digits", 99, 5) == b""
    )


def test_an_empty_artifact_is_an_artifact(store: ArtifactStore, tmp_path: Path) -> None:
    store.put("empty", b"")
    store.fetch("empty", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b""
    assert store.size("empty") == 0
    assert store.get("empty") == store.get("empty", 0, 5) == store.get("empty", 3) == b""
    assert store.put("empty", b"late") is False


@pytest.mark.parametrize(("start", "length"), [(-1, None), (0, -1)])
def test_a_negative_range_is_a_mistake(store: ArtifactStore, start: int, length: int) -> None:
    store.put("key", b"data")
    with pytest.raises(ValueError, match="bytes"):
        store.get("key", start, length)


def test_files_go_in_and_come_out_whole(store: ArtifactStore, tmp_path: Path) -> None:
    source, copy = tmp_path / "source.pcm", tmp_path / "copy.pcm"
    source.write_bytes(FIVE_MEGABYTES)
    copy.write_bytes(b"what was there before")
    assert store.put_file("audio/1.pcm", source) is True
    store.fetch("audio/1.pcm", copy)
    assert copy.read_bytes() == FIVE_MEGABYTES
    assert store.get("audio/1.pcm", 4_000_000, 100) == FIVE_MEGABYTES[4_000_000:4_000_100]
    assert {path.name for path in tmp_path.iterdir()} <= {"source.pcm", "copy.pcm", "store"}


def test_a_missing_artifact_is_reported_and_leaves_no_file(
    store: ArtifactStore, tmp_path: Path
) -> None:
    store.put("folder/there", b"")
    for key in ("absent", "folder", "folder/there/below", "folder/absent"):
        assert store.size(key) is None
        for length in (None, 0, 1):
            with pytest.raises(ArtifactMissing, match=key):
                store.get(key, 0, length)
        with pytest.raises(ArtifactMissing, match=key):
            store.fetch(key, tmp_path / "copy")
    assert {path.name for path in tmp_path.iterdir()} <= {"store"}


def test_keys_are_listed_by_prefix_in_lexical_order(store: ArtifactStore) -> None:
    keys = ["a-b/1", "a/1", "a/2/x", "a.b", "ab", "Z", "é/1", "b/chunk-10", "b/chunk-9", "😀", "～"]
    for key in keys:
        store.put(key, b"x")
    assert list(store.list("")) == sorted(keys)
    assert list(store.list("a")) == ["a-b/1", "a.b", "a/1", "a/2/x", "ab"]
    assert list(store.list("a/")) == ["a/1", "a/2/x"]
    assert list(store.list("b/chunk-1")) == ["b/chunk-10"]
    assert list(store.list("a/1")) == ["a/1"]
    assert list(store.list("c")) == list(store.list("a/1/")) == []


def test_a_listing_goes_on_behind_a_key(store: ArtifactStore) -> None:
    keys = ["a-b/1", "a/1", "a/2/x", "a/2/y", "a0/1", "b/1"]
    for key in keys:
        store.put(key, b"")
    for number, key in enumerate(keys):
        assert list(store.list("", key)) == keys[number + 1 :]
    assert list(store.list("a", "a/2/x")) == ["a/2/y", "a0/1"]
    assert list(store.list("a/", "a/20")) == []
    assert list(store.list("", "a0")) == ["a0/1", "b/1"]
    assert list(store.list("b", "a/1")) == ["b/1"]
    assert list(store.list("a/", "b")) == []


def test_the_first_keys_are_those_of_the_listing(store: ArtifactStore) -> None:
    keys = ["a/1", "a/2/x", "a/2/y", "a0/1", "b/1"]
    for key in keys:
        store.put(key, b"")
    assert [list(store.first("", limit)) for limit in (1, 3, 9)] == [keys[:1], keys[:3], keys]
    assert list(store.first("a", 2, "a/1")) == keys[1:3]
    assert list(store.first("a/", 2, "b")) == list(store.first("c", 2)) == []


def test_an_unused_store_lists_nothing(store: ArtifactStore) -> None:
    assert list(store.list("")) == list(store.list("jobs/")) == []


def test_a_deleted_artifact_is_gone_and_may_be_written_again(store: ArtifactStore) -> None:
    store.put("a/b/c", b"old")
    store.put("a/d", b"kept")
    store.delete("a/b/c")
    store.delete("a/b/c")
    store.delete("a")
    assert store.size("a/b/c") is None
    assert list(store.list("")) == ["a/d"]
    assert store.put("a/b/c", b"new") is True
    assert store.get("a/b/c") == b"new"


@pytest.mark.parametrize(
    "key", ["Zürich 2024.wav", "a b/c d", "emoji 😀", "100%", "a+b&c=d?e#f", "-rf", "~", "今日/…"]
)
def test_keys_may_hold_spaces_and_any_script(store: ArtifactStore, key: str) -> None:
    assert store.put(key, key.encode()) is True
    assert store.put(key, b"again") is False
    assert store.get(key) == key.encode()
    assert list(store.list("")) == [key]
    store.delete(key)
    assert list(store.list("")) == []


def test_a_key_that_no_store_could_hold_is_a_mistake(store: ArtifactStore, tmp_path: Path) -> None:
    uses: list[Callable[[str], object]] = [
        lambda key: store.put(key, b""),
        lambda key: store.put_file(key, Path(__file__)),
        lambda key: store.get(key),
        lambda key: store.size(key),
        lambda key: store.fetch(key, tmp_path / "copy"),
        lambda key: store.delete(key),
    ]
    for key in BAD_KEYS:
        for use in uses:
            with pytest.raises(ValueError):
                use(key)


def test_a_prefix_that_no_key_has_is_a_mistake(store: ArtifactStore) -> None:
    for prefix in ("../", "/", "a//", "a/../"):
        with pytest.raises(ValueError):
            list(store.list(prefix))


@pytest.mark.parametrize(
    "url",
    [
        *("", "relative/dir", "file://relative", "file:relative", "//host/share"),
        *("s3://", "s3:bucket", "s3://bucket/a/../b", "memory://"),
        *("http://host/x", "redis://localhost", "http://[bad"),
    ],
)
def test_an_address_that_is_no_store_is_refused_with_those_that_are(url: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        open_store(url)
    assert "s3://bucket/prefix" in refused.value.advice


def test_credentials_in_the_address_are_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidOption) as refused:
        open_store("s3://key:hunter2@bucket/prefix")
    assert "hunter2" not in str(refused.value.to_json())


def test_an_endpoint_without_a_scheme_is_refused() -> None:
    with pytest.raises(InvalidOption, match="'minio:9000'"):
        open_store("s3://bucket", endpoint_url="minio:9000")


def test_an_s3_address_opens_its_bucket_and_prefix(s3_endpoint: str, bucket: str) -> None:
    store = open_store(f"s3://{bucket}/a/b/", endpoint_url=s3_endpoint)
    assert store.put("key", b"data") is True
    assert list(open_store(f"s3://{bucket}", endpoint_url=s3_endpoint).list("")) == ["a/b/key"]
    assert store.url == f"s3://{bucket}/a/b"


def test_memory_stores_of_one_name_are_one_store() -> None:
    name = uuid4().hex
    open_store(f"memory://{name}").put("key", b"shared")
    assert open_store(f"memory://{name}").get("key") == b"shared"
    assert open_store(f"memory://{name}-2").size("key") is None


def test_a_directory_may_be_given_as_a_path_or_a_url(tmp_path: Path) -> None:
    open_store(f"{tmp_path}/my store").put("key", b"data")
    again = open_store(f"file://{tmp_path}/my%20store")
    assert again.get("key") == b"data"
    assert again.url == f"file://{tmp_path}/my%20store"


def test_a_directory_store_does_not_import_boto3(tmp_path: Path) -> None:
    program = (
        "import sys; from tasks.artifacts.opening import open_store;"
        f"open_store({str(tmp_path)!r}).put('key', b'');"
        "sys.exit(' '.join({'boto3', 'botocore', 'tenacity'} & set(sys.modules)) or None)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0

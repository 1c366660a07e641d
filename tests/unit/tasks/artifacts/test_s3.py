"""What an S3 store makes of S3's own ways: pages, parts, conflicts and refusals."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from botocore.awsrequest import AWSResponse
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from gpu_worker.errors import DiskFull, ScriptoriumError, StoreRefused, StoreUnavailable
from tasks.artifacts import StoreUnsupported
from tasks.artifacts.s3 import CONFLICT_ATTEMPTS, MULTIPART_BYTES, S3Store, s3_client
from tests.servers.s3_script import Reply, Script


@pytest.fixture
def client(s3_shared_client: Any) -> Any:
    return s3_shared_client


@pytest.fixture
def script(client: Any) -> Iterator[Script]:
    script = Script(client)
    yield script
    script.undo()


@pytest.fixture
def store(client: Any, bucket: str) -> S3Store:
    return S3Store(bucket, "prefix", client)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(MULTIPART_BYTES + 1)  # zeros that take no room on the disk
        file.write(b"head")
    return path


def unfinished_uploads(client: Any, bucket: str) -> int:
    return len(client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()))


@pytest.mark.slow
def test_more_keys_than_a_page_holds_are_all_listed(store: S3Store, bucket: str) -> None:
    keys = [f"chunks/{number:05}.json" for number in range(1100)]
    server = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]  # behind its HTTP, which takes seconds
    for key in keys:
        server.put_object(bucket, f"prefix/{key}", b"x")
    assert list(store.list("chunks/")) == keys


def test_a_prefix_keeps_stores_of_one_bucket_apart(client: Any, bucket: str) -> None:
    here, beside, above = (S3Store(bucket, name, client) for name in ("a", "ab/", ""))
    here.put("key", b"here")
    assert (here.url, above.url) == (f"s3://{bucket}/a", f"s3://{bucket}")
    assert beside.size("key") is None
    assert list(beside.list("")) == []
    assert list(above.list("")) == ["a/key"]


@pytest.mark.slow
def test_a_large_file_goes_up_in_parts_once(
    store: S3Store, script: Script, client: Any, bucket: str, large: Path, tmp_path: Path
) -> None:
    parts = script.answer("UploadPart")
    assert store.put_file("large", large) is True
    assert len(parts) == 5
    assert store.put_file("large", large) is False
    assert len(parts) == 5
    store.fetch("large", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == large.read_bytes()
    assert unfinished_uploads(client, bucket) == 0


@pytest.mark.slow
def test_parts_that_were_overtaken_by_another_writer_change_nothing(
    store: S3Store, script: Script, client: Any, bucket: str, large: Path
) -> None:
    def overtake(**_: object) -> None:
        store.put("large", b"overtaken")

    script.before_sending("CompleteMultipartUpload", overtake)
    assert store.put_file("large", large) is False
    assert store.get("large") == b"overtaken"
    assert unfinished_uploads(client, bucket) == 0


def test_an_upload_that_fails_half_way_is_aborted(
    store: S3Store, script: Script, client: Any, bucket: str, large: Path
) -> None:
    script.answer("UploadPart", (500, "InternalError"))
    with pytest.raises(StoreUnavailable):
        store.put_file("large", large)
    assert unfinished_uploads(client, bucket) == 0
    assert store.size("large") is None


def test_a_conflict_is_tried_again_with_the_whole_file(store: S3Store, script: Script) -> None:
    source = Path(__file__)
    sent = script.answer("PutObject", *[(409, "ConditionalRequestConflict")] * 2)
    assert store.put_file("key", source) is True
    assert len(sent) == 3
    assert store.get("key") == source.read_bytes()


def test_a_conflict_that_another_writer_wins_is_no_error(store: S3Store, script: Script) -> None:
    script.answer("PutObject", (409, "ConditionalRequestConflict"), (412, "PreconditionFailed"))
    assert store.put("key", b"data") is False


@pytest.mark.slow
def test_a_conflict_without_end_is_given_up(store: S3Store, script: Script) -> None:
    sent = script.answer("PutObject", *[(409, "ConditionalRequestConflict")] * 99)
    with pytest.raises(StoreUnavailable):
        store.put("key", b"data")
    assert len(sent) == CONFLICT_ATTEMPTS


@pytest.mark.slow
def test_a_short_outage_is_not_noticed(s3_endpoint: str, bucket: str) -> None:
    client = s3_client(s3_endpoint)
    sent = Script(client).answer("PutObject", (503, "SlowDown"))
    assert S3Store(bucket, "", client).put("key", b"data") is True
    assert len(sent) == 2


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (500, "InternalError", StoreUnavailable),
        (503, "SlowDown", StoreUnavailable),
        (400, "RequestTimeout", StoreUnavailable),
        (429, "TooManyRequests", StoreUnavailable),
        (507, "XMinioStorageFull", DiskFull),
        (403, "AccessDenied", StoreRefused),
        (403, "InvalidAccessKeyId", StoreRefused),
        (403, "SignatureDoesNotMatch", StoreRefused),
        (400, "ExpiredToken", StoreUnavailable),
        (403, "RequestTimeTooSkewed", StoreUnavailable),
        (403, "RequestExpired", StoreUnavailable),
        (400, "KMS.ThrottlingException", StoreUnavailable),
        (400, "KMS.DependencyTimeoutException", StoreUnavailable),
        (400, "KMS.DisabledException", StoreRefused),
        (400, "KMS.NotFoundException", StoreRefused),
        (400, "RequestLimitExceeded", StoreUnavailable),
        (400, "XAmzContentSHA256Mismatch", StoreUnavailable),
        (501, "NotImplemented", StoreUnsupported),
        (400, "EntityTooLarge", StoreRefused),
    ],
)
def test_a_refusal_is_told_from_an_outage(
    store: S3Store,
    script: Script,
    bucket: str,
    status: int,
    code: str,
    expected: type[ScriptoriumError],
) -> None:
    script.answer("PutObject", (status, code))
    with pytest.raises(expected, match=f"{bucket}.*{code}") as raised:
        store.put("key", b"data")
    assert type(raised.value) is expected


def test_a_connection_that_is_refused_is_an_outage(bucket: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: no other process can take it
        nowhere = s3_client(f"http://127.0.0.1:{closed.getsockname()[1]}", attempts=1)
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            S3Store(bucket, "", nowhere).put("key", b"")


def test_a_body_that_breaks_off_is_an_outage_and_leaves_no_file(
    store: S3Store, script: Script, tmp_path: Path
) -> None:
    store.put("key", b"data")

    def promise_more(request: Any, **_: object) -> AWSResponse:
        return AWSResponse(request.url, 200, {"content-length": "9"}, Reply(b"data"))

    script.before_sending("GetObject", promise_more)
    with pytest.raises(StoreUnavailable):
        store.get("key")
    with pytest.raises(StoreUnavailable):
        store.fetch("key", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


USES: list[Callable[[S3Store], object]] = [
    lambda store: store.put("key", b""),
    lambda store: store.put_file("key", Path(__file__)),
    lambda store: store.get("key"),
    lambda store: store.delete("key"),
    lambda store: list(store.list("")),
]


@pytest.mark.parametrize("use", USES, ids=["put", "put_file", "get", "delete", "list"])
def test_a_missing_bucket_is_refused_by_name(client: Any, use: Callable[[S3Store], object]) -> None:
    with pytest.raises(StoreRefused, match="no bucket 'no-such-bucket'") as refused:
        use(S3Store("no-such-bucket", "", client))
    assert refused.value.advice.startswith("Create it")


def test_a_name_that_no_bucket_can_have_is_refused(client: Any) -> None:
    with pytest.raises(StoreRefused, match="'not a bucket!'"):
        S3Store("not a bucket!", "", client).put("key", b"")


def test_missing_credentials_are_named(
    s3_endpoint: str, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(StoreRefused, match=bucket) as refused:
        S3Store(bucket, "", s3_client(s3_endpoint)).put("key", b"")
    assert "AWS_ACCESS_KEY_ID" in refused.value.advice


def test_a_presigned_address_takes_a_file_of_that_size_for_that_key(
    store: S3Store, client: Any, bucket: str
) -> None:
    address = store.presigned_put("uploads/one", 5, 60)
    assert address is not None
    signed = parse_qs(urlsplit(address).query)
    assert signed["X-Amz-SignedHeaders"] == ["content-length;host"]
    assert signed["X-Amz-Expires"] == ["60"]
    assert httpx.put(address, content=b"sound", trust_env=False).status_code == 200
    assert store.get("uploads/one") == b"sound"

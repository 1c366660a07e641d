"""Open the store of a URL. Only the module of that kind of store is imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gpu_worker.errors import InvalidOption
from tasks.artifacts import ArtifactStore

ALLOWED = "Use file:///directory, an absolute path, s3://bucket/prefix or memory://name."


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an S3 client waits for a silent store, and how often it asks."""

    connect_seconds: float
    read_seconds: float
    attempts: int  # of each request, with botocore's backoff between them


PATIENT = Patience(10.0, 60.0, 5)  # no client waits for a worker
# A client of the API waits. A silent store costs it some 13 s while no connection can be made, and
# half a minute on one that was made before; then it is told when to come again.
PROMPT = Patience(4.0, 10.0, 3)


def open_store(
    url: str, *, endpoint_url: str | None = None, patience: Patience = PATIENT
) -> ArtifactStore:
    """Open the store at that URL; read and write nothing yet.

    `endpoint_url` is the address of an S3 that is not Amazon's; other stores ignore it and
    `patience`. S3 credentials come from boto3's usual chain. Stores of one `memory://` name are the
    same store. Raises `InvalidOption` for any other URL.
    """
    try:
        return _opened(url, endpoint_url, patience)
    except ValueError:  # raised by urlsplit and the stores for a URL or prefix they cannot use
        raise _not_a_store(url) from None


def _opened(url: str, endpoint_url: str | None, patience: Patience) -> ArtifactStore:
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise InvalidOption(
            "The store's URL holds credentials.",
            hint="Take them out: they are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or from the machine's role.",
        )
    if url.startswith("/"):
        return _directory(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return _directory(unquote(parts.path))
    if parts.scheme == "s3" and parts.netloc:
        from tasks.artifacts.s3 import S3Store, s3_client

        client = s3_client(endpoint_url, patience)
        return S3Store(parts.netloc, unquote(parts.path), client)
    if parts.scheme == "memory" and parts.netloc:
        from tasks.artifacts.memory import shared_store

        return shared_store(parts.netloc)
    raise _not_a_store(url)


def _directory(path: str) -> ArtifactStore:
    from tasks.artifacts.local import LocalStore

    if not path.startswith("/") or path.startswith("//"):
        raise _not_a_store(path)
    return LocalStore(Path(path))


def _not_a_store(url: str) -> InvalidOption:
    return InvalidOption(f"{url!r} is not the address of an object store.", hint=ALLOWED)

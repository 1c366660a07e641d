"""Fetch an object from a submitter's bucket. It is no artifact, and its bucket is not our store.

So its faults are the submitter's and bounded: a refusal is final after a few tries, an outage is
a `SourceUnavailable`. The one exception is a worker that has lost its own credentials: then the
cluster's store refuses it as well, and that error is raised.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from gpu_worker.errors import (
    AudioOutOfBounds,
    PermanentError,
    SourceMissing,
    SourceUnavailable,
    StoreRefused,
    StoreUnavailable,
)
from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.artifacts.opening import open_store

REFUSED_TRIES = 3
FIRST_PAUSE_SECONDS = 1.0  # between them; doubles


class SourceRefused(PermanentError):
    """The bucket of the audio's address does not let this cluster read it."""

    code = "source_refused"
    hint = "Let the workers' credentials read the object (s3:GetObject), or upload the file."


def fetch_object(
    url: str, path: Path, *, max_bytes: int, endpoint_url: str | None, check_own: Callable[[], None]
) -> None:
    """Write the object at `s3://bucket/key` to `path`.

    `check_own` reads the cluster's own store, and raises if that refuses this worker too. Raises
    SourceMissing, SourceRefused, SourceUnavailable, AudioOutOfBounds, DiskFull, ScratchUnusable,
    or what `check_own` raises.
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    theirs = open_store(f"s3://{bucket}", endpoint_url=endpoint_url)
    tries = Retrying(
        retry=retry_if_exception_type(StoreRefused),
        stop=stop_after_attempt(REFUSED_TRIES),
        wait=wait_exponential(multiplier=FIRST_PAUSE_SECONDS),
        reraise=True,
    )
    try:
        tries(fetch_within, theirs, key, path, max_bytes)
    except ArtifactMissing as error:
        raise SourceMissing(f"There is no object at {url}.") from error
    except StoreRefused as error:
        check_own()
        raise SourceRefused(error.message) from error
    except StoreUnavailable as error:
        check_own()
        raise SourceUnavailable(error.message) from error


def fetch_within(store: ArtifactStore, key: str, path: Path, max_bytes: int) -> None:
    """Fetch what has at most `max_bytes`. Raises AudioOutOfBounds, ArtifactMissing, or as `fetch`.

    A bucket that is not there is a StoreRefused.
    """
    size = store.size(key)
    if size is None:  # or there is no bucket, which only the reply to a read can say
        store.get(key, 0, 1)
        raise StoreUnavailable(f"{key!r} has just been written.")
    if size > max_bytes:
        raise AudioOutOfBounds(f"The file has {size} bytes, more than are accepted.")
    store.fetch(key, path)

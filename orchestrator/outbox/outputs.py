"""Write a transcript as files into the bucket that its submitter named.

They are plain objects, so that writing them twice changes nothing. This module gives the
bucket's keys no meaning.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import lru_cache
from typing import Any

from gpu_worker.assembly.formats import format_named
from gpu_worker.assembly.subtitles import SubtitleOptions
from gpu_worker.errors import PermanentError, StoreRefused
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Summary
from orchestrator.cluster.job_index import newest_run
from orchestrator.results.files import render_result
from tasks.artifacts import ArtifactMissing
from tasks.runs.manifest import Manifest, Output
from tasks.runs.units import Run

ATTEMPTS = 2  # of one request; the outbox tries again later as well
ERROR_EXTENSION = ".error.json"


class OutputRefused(PermanentError):
    """The bucket that was named for the transcript does not let this cluster write into it."""

    code = "output_refused"
    hint = "Create the bucket, and let the cluster's credentials write into it (s3:PutObject)."


def write_outputs(cluster: Cluster, manifest: Manifest, run: Run, summary: Summary) -> None:
    """Write the run's transcript, or the job with its error if it failed.

    Writes nothing for a canceled run, nor for a run that a retry has replaced. Raises
    OutputRefused, StoreUnavailable or DiskFull for the submitter's bucket, and what the cluster's
    own store raises.
    """
    output = manifest.output
    overtaken = newest_run(cluster.store, run.tenant, run.job).number > run.number
    if output is None or summary.canceled or overtaken:
        return
    client = _client(cluster.settings.s3_endpoint_url)
    if summary.error is not None:
        job = cluster.job(run.tenant, run.job).to_json()
        text = json.dumps(job, ensure_ascii=False, indent=2) + "\n"
        _put(client, output, ERROR_EXTENSION, text.encode("utf-8"), "application/json")
        return
    for name in output.formats:
        form = format_named(name)
        content = render_result(cluster, run.tenant, run.job, name, SubtitleOptions())
        _put(client, output, form.extension, content, form.media_type)
    if run.number > 1:  # an earlier run's error file is out of date
        _remove(client, output, ERROR_EXTENSION)


def _put(client: Any, output: Output, extension: str, content: bytes, media_type: str) -> None:
    from tasks.artifacts.s3_faults import s3_faults

    bucket, key = _place(output, extension)
    try:
        with s3_faults(bucket, key):
            client.put_object(Bucket=bucket, Key=key, Body=content, ContentType=media_type)
    except ArtifactMissing as error:  # how some stores report a missing bucket
        raise OutputRefused(f"There is no bucket {bucket!r} to write to.") from error
    except StoreRefused as error:  # that is the submitter's bucket; `StoreRefused` is our own
        raise OutputRefused(error.message) from error


def _remove(client: Any, output: Output, extension: str) -> None:
    """Delete a file if that is permitted; the credentials may allow writing only."""
    from tasks.artifacts.s3_faults import s3_faults

    bucket, key = _place(output, extension)
    with suppress(StoreRefused, ArtifactMissing), s3_faults(bucket, key):
        client.delete_object(Bucket=bucket, Key=key)


def _place(output: Output, extension: str) -> tuple[str, str]:
    bucket, _, key = output.url.removeprefix("s3://").partition("/")
    return bucket, key + extension


@lru_cache(maxsize=4)
def _client(endpoint_url: str | None) -> Any:
    from tasks.artifacts.s3 import s3_client  # boto3 takes long to import

    return s3_client(endpoint_url, attempts=ATTEMPTS)

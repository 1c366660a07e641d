"""The local files that a command line's list names: they are put into the store first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gpu_worker.errors import PermanentError, StoreRefused
from orchestrator.cluster.connection import Cluster
from orchestrator.collections.records import Line
from orchestrator.jobs.sources import upload


def stored(cluster: Cluster, tenant: str, lines: Sequence[Line], base: Path) -> Iterator[Line]:
    """Yield the lines, with local files put into the store; a file that is not there is refused.

    `base`: the folder below which the lines name files. Raises transient errors and StoreRefused.
    """
    for line in lines:
        if line.error is not None or line.source is None or "://" in line.source:
            yield line
            continue
        path = base / line.source
        try:
            source = upload(cluster, path, tenant)
        except StoreRefused:
            raise
        except PermanentError as error:
            yield replace(line, error=error.to_json())
        else:
            yield replace(
                line, source=None, artifact=source.artifact, name=line.name or source.name
            )

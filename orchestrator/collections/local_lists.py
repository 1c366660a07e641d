"""The local files that a command line or its list names: they are put into the store first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpu_worker.errors import PermanentError, StoreRefused
from orchestrator.cluster.connection import Cluster
from orchestrator.collections.lists import checked
from orchestrator.collections.records import Line
from orchestrator.jobs.sources import upload


def named_lines(arguments: Sequence[str], common: Mapping[str, Any]) -> list[Line]:
    """Return a line for each file or address of a command line, numbered from 1.

    A file's path may be any bytes: it is opened here, and of it only the last part is kept, as a
    name, in which a question mark stands for what is no UTF-8.
    """
    return [
        checked(number, it, common) if "://" in it else Line(number, source=it)
        for number, it in enumerate(arguments, 1)
    ]


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

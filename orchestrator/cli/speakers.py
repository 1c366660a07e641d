"""Known speakers on the command line: `--known-speaker NAME=FILE`, repeated for each speaker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from gpu_worker.errors import InvalidOption
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.local_files import local_path
from orchestrator.jobs.sources import upload
from tasks.runs.options import JobOptions
from tasks.runs.submitted_options import changed_options

KnownSpeakers = Annotated[
    list[str] | None,
    typer.Option(
        "--known-speaker",
        "--known_speaker",
        metavar="NAME=FILE",
        help="Name and clip of a known speaker: some seconds of this voice alone; repeatable.",
        rich_help_panel="Words and speakers",
    ),
]


def with_known_speakers(
    cluster: Cluster, tenant: str, options: JobOptions, given: Sequence[str] | None
) -> JobOptions:
    """Return the options with the given speakers. Raises InvalidOption or SourceMissing."""
    if not given:
        return options
    known = upload_known_speakers(cluster, tenant, given)
    return changed_options(options, {"known_speakers": known})


def upload_known_speakers(
    cluster: Cluster, tenant: str, given: Sequence[str]
) -> list[dict[str, str]]:
    """Put the speakers' clips into the store and return the value of option `known_speakers`.

    Raises InvalidOption for a pair that is not NAME=FILE, or SourceMissing.
    """
    return [_upload(cluster, tenant, pair) for pair in given]


def _upload(cluster: Cluster, tenant: str, pair: str) -> dict[str, str]:
    name, _, path = pair.partition("=")
    if not name.strip() or not path:
        raise InvalidOption(
            f"{pair!r} is not a known speaker.", hint="Write --known-speaker anna=anna.wav."
        )
    clip = upload(cluster, local_path(path), tenant).artifact or ""
    return {"name": name.strip(), "clip": clip.rpartition("/")[2]}

"""Known speakers on the command line: `--known-speaker NAME=FILE`, once for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from gpu_worker.errors import InvalidOption
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.local_files import local_path
from orchestrator.jobs.sources import upload
from tasks.runs.options import JobOptions, changed_options

KnownSpeakers = Annotated[
    list[str] | None,
    typer.Option(
        "--known-speaker",
        "--known_speaker",
        metavar="NAME=FILE",
        help="A voice with a name, by a clip of some seconds of it alone; once for each.",
        rich_help_panel="Words and speakers",
    ),
]


def with_known_speakers(
    cluster: Cluster, tenant: str, options: JobOptions, given: Sequence[str] | None
) -> JobOptions:
    """The options with the speakers that were given. Raises InvalidOption or SourceMissing."""
    if not given:
        return options
    known = upload_known_speakers(cluster, tenant, given)
    return changed_options(options, {"known_speakers": known})


def upload_known_speakers(
    cluster: Cluster, tenant: str, given: Sequence[str]
) -> list[dict[str, str]]:
    """Put the clips into the store; gives the option's value. Raises as above."""
    return [_upload(cluster, tenant, pair) for pair in given]


def _upload(cluster: Cluster, tenant: str, pair: str) -> dict[str, str]:
    name, _, path = pair.partition("=")
    if not name.strip() or not path:
        raise InvalidOption(
            f"{pair!r} is not a known speaker.", hint="Write --known-speaker anna=anna.wav."
        )
    clip = upload(cluster, local_path(path), tenant).artifact or ""
    return {"name": name.strip(), "clip": clip.rpartition("/")[2]}

"""Commands of the triggers: `triggers sqs`, `triggers celery`, `triggers dead-letters`."""

from __future__ import annotations

import json
import os
import socket
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from config.logging import configure_logging
from gpu_worker.errors import InvalidOption
from orchestrator.cli.context import current_settings, opened_cluster, print_json, stop_event
from orchestrator.local.front_door import celery_command
from orchestrator.local.programs import FRONT_DOOR_SECRETS, settings_environment
from tasks.runs import keys

app = typer.Typer(help="Take jobs from buckets and queues.", no_args_is_help=True)


@app.callback()
def triggers() -> None:
    """Take jobs from buckets and queues."""


@app.command()
def sqs(
    queue_url: Annotated[
        str, typer.Option("--queue-url", help="URL of the queue that gets the bucket's events.")
    ],
    rules: Annotated[
        Path | None,
        typer.Option("--rules", help="TOML file of rules; by default SCRIPTORIUM_TRIGGER_RULES."),
    ] = None,
) -> None:
    """Make a job of each new object that the queue's events name, until SIGTERM or Ctrl-C."""
    from orchestrator.triggers.intake import open_intake
    from orchestrator.triggers.sqs import Poller, sqs_client
    from tasks.telemetry.exposition import serve_own_metrics
    from tasks.telemetry.heartbeat import Heartbeat

    settings = current_settings()
    path = rules or settings.trigger_rules
    if path is None:
        raise InvalidOption(
            "There are no rules that say which objects become jobs.",
            hint="Give a file with --rules or SCRIPTORIUM_TRIGGER_RULES; see docs/triggers.md.",
        )
    configure_logging(settings.log_level, settings.log_format)
    cluster = opened_cluster()
    try:
        intake = open_intake(cluster, path, "sqs")
        serve_own_metrics(settings)
        beat = Heartbeat(settings.heartbeat_file).beat
        Poller(intake, sqs_client(queue_url), queue_url, beat).run(stop_event())
    finally:
        cluster.close()


@app.command()
def celery(
    name: Annotated[str | None, typer.Option(help="Name, unique in the cluster.")] = None,
) -> None:
    """Take `scriptorium.submit` messages; becomes `celery worker`. Several may run at once."""
    from tasks.telemetry.heartbeat import Heartbeat

    cluster = opened_cluster()  # raises an error with a sentence if the cluster cannot be used
    environment = settings_environment(
        cluster.settings, os.environ, without=FRONT_DOOR_SECRETS, takes_over=True
    )
    cluster.close()
    Heartbeat(cluster.settings.heartbeat_file)  # it deletes an earlier process's
    command = celery_command(name or f"submit-{os.getpid()}@{socket.gethostname()}")
    os.execve(command[0], command, environment)


@app.command("dead-letters")
def dead_letters(
    limit: Annotated[int, typer.Option(min=1, help="Number to show.")] = 1000,
    after: Annotated[
        str, typer.Option(help="Go on behind this message, the last one of a piece.")
    ] = "",
) -> None:
    """Print as JSON the events that could not become jobs, with the reason."""
    cluster = opened_cluster()
    behind = f"{keys.DEAD_TRIGGERS}{after}.json" if after else ""
    try:
        listed = list(islice(cluster.store.list(keys.DEAD_TRIGGERS, behind), limit + 1))
        found = [
            {"message": key.removeprefix(keys.DEAD_TRIGGERS).removesuffix(".json")}
            | json.loads(cluster.store.get(key))
            for key in listed[:limit]
        ]
    finally:
        cluster.close()
    print_json(found)
    if len(listed) > limit:
        typer.echo(f"There are more: --after {found[-1]['message']}", err=True)

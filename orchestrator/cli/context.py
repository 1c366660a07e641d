"""What all commands share: settings, access to the cluster, exit statuses, JSON output."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr, TypeAdapter, ValidationError

from config.logging import configure_logging
from config.settings import NO_HOME, TENANT_PATTERN, Settings
from gpu_worker.errors import InvalidOption, RedisUnavailable
from orchestrator.cli.secrets import warn_of_password
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.job import Job, Status
from orchestrator.cluster.shadows import SHADOW_TENANT
from orchestrator.jobs.requests import Text
from orchestrator.jobs.shadow import shadow_of
from orchestrator.jobs.trial import trial_of
from orchestrator.local.cluster import running_cluster
from orchestrator.usage.budgets import check_budgets
from orchestrator.usage.prices import prices_of
from tasks.artifacts.opening import PATIENT, Patience
from tasks.telemetry.systemd import STOPPING, tell

EXIT_COMPLETE, EXIT_FAILED, EXIT_USAGE, EXIT_PARTIAL = 0, 1, 2, 3
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]  # of many commands
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_state: dict[str, Settings] = {}
_interrupted = threading.Event()


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"scriptorium {version('scriptorium')}")
        raise typer.Exit


def remember(
    redis_url: Annotated[
        str | None,
        typer.Option(help="URL of Redis; set REDIS_URL if it has a password."),
    ] = None,
    store_url: Annotated[
        str | None, typer.Option(help="Store: file:///directory or s3://bucket/prefix.")
    ] = None,
    home: Annotated[Path | None, typer.Option(help="Directory of the local cluster.")] = None,
    of_tenant: Annotated[
        str | None,
        typer.Option("--tenant", help="Whose jobs the command sees (SCRIPTORIUM_TENANT)."),
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING, ERROR.")] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Transcribe audio on a cluster that loses nothing."""
    try:
        values = Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"{' '.join(map(str, item['loc']))} {item['msg']}" for item in error.errors()
        )
        raise InvalidOption(
            f"The environment is not valid: {wrong}.", hint="See docs/settings.md."
        ) from error
    if log_level is not None and log_level.upper() not in LOG_LEVELS:
        raise InvalidOption(
            f"There is no log level {log_level!r}.", hint=f"Use {', '.join(LOG_LEVELS)}."
        )
    if redis_url:
        warn_of_password("--redis-url", redis_url, "REDIS_URL")
    given: dict[str, Any] = {
        "redis_url": SecretStr(redis_url) if redis_url else None,
        "store_url": store_url,
        "home": home.absolute() if home else None,
        "tenant": checked_tenant(of_tenant) if of_tenant is not None else None,
    }
    given = {name: value for name, value in given.items() if value is not None}
    _state["settings"] = values.model_copy(update=given)
    trial_of(values)  # a wrong one is told at the start, and not at the first job
    shadow_of(values)
    prices_of(values)
    check_budgets(values)
    _give_home(_state["settings"].home)
    configure_logging(log_level or "ERROR", "text")


def _give_home(home: Path) -> None:
    """Set HOME to the cluster's directory for a user who has no home directory.

    Without it huggingface_hub and torch would make a directory named `~`, and pyannote would not
    load.
    """
    try:
        Path.home()
    except RuntimeError:
        if home != NO_HOME:
            os.environ["HOME"] = str(home)


def check_home(settings: Settings) -> None:
    """Raise InvalidOption if there is no directory for a local cluster's state."""
    if settings.home == NO_HOME:
        raise InvalidOption(
            "There is no home directory: HOME is not set, and the system knows no user "
            f"{os.getuid()}.",
            hint="Set SCRIPTORIUM_HOME to a directory of yours, or give it as --home.",
        )


@contextmanager
def interruptible() -> Iterator[None]:
    """Make Ctrl-C in the block raise KeyboardInterrupt, and record it for `check_interrupted`."""

    def interrupt(*_: object) -> None:
        _interrupted.set()
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _interrupted.clear()


def check_interrupted() -> None:
    """Raise KeyboardInterrupt if Ctrl-C came before.

    In a finalizer Python prints the exception and goes on, so the recorded one is raised here.
    """
    if _interrupted.is_set():
        raise KeyboardInterrupt


def stop_event() -> threading.Event:
    """Return an event that the first Ctrl-C or SIGTERM sets; a second one ends the process at once.

    The second one raises KeyboardInterrupt.
    """
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)

    def ask(*_: object) -> None:
        stop.set()
        tell(STOPPING)
        for number in signals:
            signal.signal(number, signal.default_int_handler)

    for number in signals:
        signal.signal(number, ask)
    return stop


def current_settings() -> Settings:
    """Return the environment's settings, changed by the global options of the command line."""
    return _state["settings"]


def configured_cluster(values: Settings) -> Settings | None:
    """Return the settings of the configured or running cluster, or None if there is neither.

    Raises InvalidOption for a Redis without a store.
    """
    if values.redis_url is None:
        return running_cluster(values)
    if values.store_url is None:
        raise InvalidOption(
            "A Redis is configured but no object store.",
            hint="Set SCRIPTORIUM_STORE_URL to the store that the cluster's workers use.",
        )
    return values


def opened_cluster(patience: Patience = PATIENT) -> Cluster:
    """Open the configured cluster, or this user's running one; `patience` is with the store.

    Raises RedisUnavailable.
    """
    values = configured_cluster(current_settings())
    if values is None:
        raise RedisUnavailable(
            "No cluster is configured and none runs here.",
            hint="Start one with `scriptorium up`, or set REDIS_URL and SCRIPTORIUM_STORE_URL.",
        )
    return open_cluster(values, patience)


def tenant() -> str:
    """Return the tenant whose jobs the commands see."""
    return current_settings().tenant


def checked_tenant(name: str) -> str:
    """Return the name if a tenant can have it. Raises InvalidOption."""
    if not re.fullmatch(TENANT_PATTERN, name):
        raise InvalidOption(
            f"{name!r} cannot be a tenant.",
            hint="Use lower case letters, digits and dashes, at most 63.",
        )
    return name


def checked_owner(name: str) -> str:
    """Do what `checked_tenant` does; the tenant of shadows owns jobs too."""
    return name if name == SHADOW_TENANT else checked_tenant(name)


def checked_name(name: str) -> str:
    """Return the value of an option --name. Raises InvalidOption if the API would refuse it."""
    try:
        return TypeAdapter(Text).validate_python(name)
    except ValidationError as error:
        raise InvalidOption(f"--name {name!r}: {error.errors()[0]['msg']}.") from error


def print_json(data: Any) -> None:
    """Print data as indented JSON, for other programs."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def exit_status(jobs: Iterable[Job]) -> int:
    """Return the exit status of the worst of the jobs: failed or canceled, partial, complete."""
    statuses = {job.status for job in jobs}
    if statuses & {Status.FAILED, Status.CANCELED}:
        return EXIT_FAILED
    return EXIT_PARTIAL if Status.PARTIAL in statuses else EXIT_COMPLETE

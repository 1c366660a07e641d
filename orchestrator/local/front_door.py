"""The programs that clients talk to on one machine: the API, the Celery trigger and Flower.

Each gets its settings by its environment. Flower runs read-only, because its buttons can shut
workers down.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.errors import InvalidOption, LibraryMissing, PermanentError
from orchestrator.local.ports import free_port
from orchestrator.local.programs import FRONT_DOOR_SECRETS, Program, settings_environment

# At 200 submissions a second one process falls behind, since its threads share one interpreter
# lock; two keep up (benchmarks/cluster/front_door.py).
API_PROCESSES = 2
FLOWER_HOST = "127.0.0.1"
FLOWER_USER = "scriptorium"
READY_SECONDS = 60.0  # a busy machine needs long to load the API's libraries
POLL_SECONDS = 0.1


class NotReady(PermanentError):
    """The API was started but does not answer."""

    code = "not_ready"
    hint = "Its log says why."


def api_programs(settings: Settings, logs: Path) -> list[Program]:
    """Return the API's processes, which share a port; they need every secret."""
    return [
        Program(
            name=f"api{number}",
            command=(sys.executable, "-m", "orchestrator.cli", "serve", "--shared"),
            environment=settings_environment(settings, os.environ),
            log=logs / "api.log",
        )
        for number in range(API_PROCESSES)
    ]


def celery_program(settings: Settings, logs: Path, name: str) -> Program:
    """Return the process that takes `scriptorium.submit` messages; it checks no API key."""
    return Program(
        name=f"submit@{name}",
        command=celery_command(f"submit@{name}"),
        environment=settings_environment(settings, os.environ, without=FRONT_DOOR_SECRETS),
        log=logs / "submit.log",
    )


def celery_command(name: str) -> tuple[str, ...]:
    """Return the `celery worker` command of the Celery trigger."""
    return (
        sys.executable, "-m", "celery", "-A", "orchestrator.triggers.celery_tasks",
        "--skip-checks", "worker",
        "--hostname", name,
        "--queues", "submit",
        "--pool", "threads",  # threads, because a submission waits for the store and Redis
        "--concurrency", "4",
        "--without-gossip", "--without-mingle",
        "--loglevel", "INFO",
    )  # fmt: skip


def flower_program(settings: Settings, logs: Path) -> Program:
    """Return Flower's process.

    Raises LibraryMissing, or InvalidOption for a password that is empty or has a comma.
    """
    if find_spec("flower") is None:
        raise LibraryMissing(
            "Flower is not installed.", hint="Install it: pip install 'scriptorium[flower]'."
        )
    password = settings.flower_password.get_secret_value() if settings.flower_password else ""
    if not password or "," in password:
        raise InvalidOption(
            "Flower's password is empty or has a comma in it.",
            hint="Set SCRIPTORIUM_FLOWER_PASSWORD to another one, or leave it unset.",
        )
    # A FLOWER_ variable of our environment could override these options.
    base = {name: value for name, value in os.environ.items() if not name.startswith("FLOWER_")}
    # Flower has metrics of its own, which must not mix with ours.
    without = FRONT_DOOR_SECRETS | {"hf_token", "metrics_dir"}
    environment = settings_environment(settings, base, without=without)
    environment.pop("HF_TOKEN", None)
    environment["FLOWER_BASIC_AUTH"] = f"{FLOWER_USER}:{password}"
    return Program(
        name="flower",
        command=(
            sys.executable, "-m", "celery", "-A", "tasks.app", "--skip-checks", "flower",
            f"--address={FLOWER_HOST}",
            f"--port={settings.flower_port}",
            "--read_only=True",
            "--persistent=False",
            "--conf=/dev/null",  # else it runs such a file of the working directory
        ),
        environment=environment,
        log=logs / "flower.log",
    )  # fmt: skip


def with_addresses(settings: Settings, *, api: bool, flower: bool) -> Settings:
    """Return the settings with free ports for 0 and a password for Flower. Raises InvalidOption."""
    update: dict[str, object] = {}
    if api:
        update["api_port"] = _checked_port(settings.api_host, settings.api_port, "--port")
    if flower:
        update["flower_port"] = _checked_port(FLOWER_HOST, settings.flower_port, "--flower-port")
        update["flower_password"] = settings.flower_password or SecretStr(secrets.token_urlsafe(18))
    return settings.model_copy(update=update)


def _checked_port(host: str, port: int, option: str) -> int:
    """Return the port, or a free one for 0. Raises InvalidOption if it cannot be listened on."""
    try:
        return free_port(host, port)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]  # Python adds the address
        raise InvalidOption(
            f"{host} port {port} cannot be listened on: {reason}.",
            hint=f"Stop what listens there, or choose another with {option}.",
        ) from error


def url_of(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a server that listens on that host."""
    local = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def wait_until_ready(
    url: str, log: Path, is_wanted: Callable[[], bool], seconds: float = READY_SECONDS
) -> None:
    """Wait until the API answers that it is ready, as long as `is_wanted`. Raises NotReady."""
    import httpx  # slow to import, and other commands do not need it

    deadline = time.monotonic() + seconds
    with httpx.Client(trust_env=False, timeout=5.0) as client:  # loopback needs no proxy
        while is_wanted():
            try:
                if client.get(f"{url}/readyz").status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline:
                raise NotReady(
                    f"The API did not answer at {url} within {seconds:.0f} s.",
                    hint=f"Its log says why: {log}",
                )
            time.sleep(POLL_SECONDS)

"""A cluster as containers run it: each component a process with a Redis user of its own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from celery import Celery

from orchestrator.local.ports import free_port
from orchestrator.local.process import Child
from tests.inputs.speech import recording, write_wav
from tests.integration.every_route import OPTIONS, EveryRoute

COMPONENTS = {  # its user in Redis, by the name of the process
    "api": "api",
    "cpu-worker": "worker",
    "gpu-worker": "worker",
    "reconciler": "reconciler",
    "triggers": "triggers",
    "flower": "flower",
}


def commands(api_port: int, flower_port: int) -> dict[str, tuple[str, ...]]:
    """The command of each component, as compose.yaml and the chart have them."""
    cli = (sys.executable, "-m", "orchestrator.cli")
    return {
        "api": (*cli, "serve", "--port", str(api_port)),
        "cpu-worker": (*cli, "worker", "--pool", "cpu", "--name", "cpu@here"),
        "gpu-worker": (*cli, "worker", "--pool", "gpu", "--name", "gpu@here"),
        "reconciler": (*cli, "reconciler"),
        "triggers": (*cli, "triggers", "celery", "--name", "submit@here"),
        "flower": (
            sys.executable, "-m", "celery", "-A", "tasks.app", "--skip-checks", "flower",
            "--address=127.0.0.1", f"--port={flower_port}", "--read_only=True",
            "--persistent=False", "--conf=/dev/null",
        ),
    }  # fmt: skip


@contextmanager
def running(directory: Path, urls: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Every component, with its user's address. Gives the addresses of API and Flower."""
    (directory / "store").mkdir()
    api_port, flower_port = free_port("127.0.0.1"), free_port("127.0.0.1")
    environment = os.environ | {
        "SCRIPTORIUM_HOME": str(directory),
        "SCRIPTORIUM_STORE_URL": (directory / "store").as_uri(),
        "SCRIPTORIUM_WORK_DIR": str(directory / "scratch"),
        "SCRIPTORIUM_ALLOWED_MODELS": "fake",
        "SCRIPTORIUM_ALLOW_ANONYMOUS": "true",
        "SCRIPTORIUM_SELF_TEST": "false",
        "SCRIPTORIUM_LEASE_SECONDS": "4",
        "SCRIPTORIUM_HEARTBEAT_SECONDS": "1",
        "SCRIPTORIUM_RECONCILE_SECONDS": "0.3",
        "SCRIPTORIUM_AUDIT_SECONDS": "2",
        "SCRIPTORIUM_RECONCILE_GRACE_SECONDS": "1.5",
        "FLOWER_BASIC_AUTH": "scriptorium:flower-password",
    }
    with ExitStack() as stack:
        for name, command in commands(api_port, flower_port).items():
            own = environment | {"REDIS_URL": urls[COMPONENTS[name]]}
            child = Child(name, command, directory / f"{name}.log", own)
            stack.callback(child.kill)
        yield f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{flower_port}"


def use_every_component(api: str, flower: str, sender_url: str, directory: Path) -> None:
    """Take a whole job through, by HTTP and by Celery; cancel, retry, rerun, list and delete."""
    sound = write_wav(directory / "talk.wav", recording(35, seed=4)[0])
    with httpx.Client(base_url=api, timeout=60, trust_env=False) as http:
        routes = EveryRoute(http)
        _, other = routes.use(sound)
        with Celery("other", broker=sender_url, backend=sender_url, set_as_current=False) as app:
            upload = routes.upload("b.wav", sound.read_bytes())
            fields = {"upload_id": upload, "options": OPTIONS}
            sent = app.send_task("scriptorium.submit", kwargs=fields, queue="submit")
            third = sent.get(timeout=60)["job"]["id"]
            assert routes.ended(third) == "completed"
            sent = app.send_task("scriptorium.status", kwargs={"job": third}, queue="submit")
            assert sent.get(timeout=60)["job"]["status"] == "completed"
            sent.forget()
        workers = httpx.get(
            f"{flower}/workers?json=1", auth=("scriptorium", "flower-password"), trust_env=False
        )
        assert "cpu@here" in workers.text
        queues = httpx.get(
            f"{flower}/broker", auth=("scriptorium", "flower-password"), trust_env=False
        )
        assert queues.status_code == 200
        routes.asked("DELETE", f"/v1/jobs/{other}")
        routes.asked("DELETE", f"/v1/jobs/{third}")
        time.sleep(3.0)  # the reconciler sees the deletions through

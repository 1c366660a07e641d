"""`scriptorium up` as its users meet it: what it prints is where everything is."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from scriptorium_client import Client
from tests.eventually import eventually
from tests.inputs.speech import recording, write_wav

IDS = re.compile(r"\{('(tenant|job|run|index)': ('[\w-]+'|\d+)(, )?)+\}")
SCRIPTORIUM = [sys.executable, "-m", "orchestrator.cli"]


class Running:
    """A cluster that was started by a command."""

    def __init__(self, process: subprocess.Popen[str], lines: list[str]) -> None:
        self.process = process
        self.out = "".join(lines)

    def place(self, name: str) -> str:
        found = re.search(rf"^{name}: +(\S+)$", self.out, re.MULTILINE)
        assert found, self.out
        return found[1].rstrip("/")

    @property
    def flower_password(self) -> str:
        found = re.search(r"user scriptorium, password (\S+)$", self.out, re.MULTILINE)
        assert found, self.out
        return found[1]


@contextmanager
def up(home: Path, *options: str, **variables: str) -> Iterator[Running]:
    """Run it until it says that it is ready; nothing of it is left behind."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    kept["SCRIPTORIUM_ALLOWED_MODELS"] = "fake"
    process = subprocess.Popen(
        [*SCRIPTORIUM, "--home", str(home), "up", "--workers", "1", "--port", "0", *options],
        env=kept | {"HOME": str(home.parent)} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ready."):
                break
        else:
            raise AssertionError(f"it ended: {''.join(lines)}")
        started = psutil.Process(process.pid).children(recursive=True)
        yield Running(process, lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert not psutil.wait_procs(started, timeout=10)[1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_it_prints_where_everything_is_and_all_of_it_answers(tmp_path: Path) -> None:
    with up(tmp_path / "home", "--flower", "--flower-port", "0") as cluster:
        page = httpx.get(cluster.place("Page") + "/", trust_env=False)
        assert page.status_code == 200 and "text/html" in page.headers["content-type"]
        assert httpx.get(cluster.place("Docs"), trust_env=False).status_code == 200
        talk = write_wav(tmp_path / "talk.wav", recording(8)[0])
        with Client(cluster.place("API").removesuffix("/v1"), trust_env=False) as client:
            job = client.submit(talk, model="fake", language="en", aligner="cross_attention")
            *_, end = client.stream(job.id)
            assert end.job is not None and end.job.status == "completed"
            assert client.transcript(job.id).strip()
        check_flower(cluster.place("Flower"), cluster.flower_password)
        names = psutil.Process(cluster.process.pid).children(recursive=True)
        assert not any(cluster.flower_password in " ".join(it.cmdline()) for it in names)
        places = [place for it in names for place in it.net_connections()]
        assert {it.laddr.ip for it in places if it.status == "LISTEN"} == {"127.0.0.1"}


def check_flower(url: str, password: str) -> None:
    """With the password it can be looked at, and no request can change anything."""
    stranger = httpx.Client(base_url=url, trust_env=False)
    owner = httpx.Client(base_url=url, trust_env=False, auth=("scriptorium", password))
    with stranger, owner:
        for path in ("/", "/tasks", "/api/tasks", "/api/workers"):
            assert stranger.get(path).status_code == 401
        assert owner.get("/").status_code == 200
        found: dict[str, dict[str, str]] = {}

        def is_seen() -> bool:
            found.update(owner.get("/api/tasks").json())
            return any(task["name"] == "scriptorium.assemble" for task in found.values())

        assert eventually(is_seen)
        shown = [task for task in found.values() if task["name"].startswith("scriptorium.")]
        for task in shown:
            assert IDS.fullmatch(task["kwargs"])
            assert task["args"] in ("()", "[]")
        (worker, *_) = {task["worker"] for task in shown}
        for path in (
            f"/api/worker/shutdown/{worker}",
            f"/api/worker/pool/shrink/{worker}",
            "/api/task/send-task/scriptorium.prepare",
            "/api/task/async-apply/scriptorium.prepare",
            f"/api/task/revoke/{next(iter(found))}",
        ):
            for headers in ({}, {"Origin": url, "Sec-Fetch-Site": "same-origin"}):
                refused = owner.post(path, headers=headers, json={"args": []})
                assert refused.status_code == 403, (path, refused.text)


def test_without_an_api_there_is_none(tmp_path: Path) -> None:
    with up(tmp_path / "home", "--no-api") as cluster:
        assert "http" not in cluster.out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--port", "{taken}"], "Address already in use"),
        (["--port", "0", "--flower", "--flower-port", "{taken}"], "Address already in use"),
        (["--port", "0", "--host", "0.0.0.0"], "There are no API keys"),
    ],
)
def test_what_cannot_be_had_is_said_before_anything_runs(
    tmp_path: Path, options: list[str], sentence: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = str(listener.getsockname()[1])
        done = subprocess.run(
            [*SCRIPTORIUM, "--home", str(tmp_path / "home"), "up"]
            + [option.format(taken=taken) for option in options],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert sentence in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home" / "logs" / "gpu0.log").exists()

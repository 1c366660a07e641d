"""Each command of the runbook (docs/operations.md) does on a real cluster what the runbook needs.

The commands are read from the page, so that a new one is tried too: it must end with status 0. A
word in capitals stands for something that a person puts in, and needs a value in `Runbook`.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from orchestrator import cli
from orchestrator.cluster.job import Job
from tasks.artifacts.local import LocalStore
from tests.eventually import eventually
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import ClusterUnderTest
from tests.integration.conftest import StartCluster

PAGE = Path("docs/operations.md")
PROGRAM = [sys.executable, "-m", "orchestrator.cli"]
RUN_ON = frozenset({"reconciler", "serve", "up"})  # until a signal ends them
# uvicorn ends its server in peace, and then by the signal that it got.
SIGNALLED = {"serve": -signal.SIGTERM}
END_SECONDS = 60.0
# `scriptorium …` at the begin of a line of a block, in backquotes, or behind `exec … --`.
_COMMAND = re.compile(
    r"(?:^(?:[A-Z_]+=\S+ )?|`(?:[A-Z_]+=\S+ )?| -- )scriptorium( [^`\n|#]+)", re.M
)
_PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]+\b")


def commands() -> list[str]:
    """The page's commands without the program's name, each once, in the order of the page."""
    text = re.sub(r"`(scriptorium[^`]*?)\n\s*([^`]*)`", r"`\1 \2`", PAGE.read_text("utf-8"))
    return list(dict.fromkeys(found.strip() for found in _COMMAND.findall(text)))


class Runbook:
    """A cluster with a job in each state that a command of the page is for."""

    def __init__(self, cluster: ClusterUnderTest, directory: Path) -> None:
        self._cluster, self._directory = cluster, directory
        self._talk = write_wav(directory / "talk.wav", recording(12)[0])
        LocalStore(directory / "copy").put("doctor/left", b"")  # a store in which all is sound
        self.completed = cluster.wait(self._submit("fake"))
        settings = cluster.connection.settings
        assert settings.redis_url is not None and settings.store_url is not None
        self.environment = {
            "REDIS_URL": settings.redis_url.get_secret_value(),
            "SCRIPTORIUM_STORE_URL": settings.store_url,
            "SCRIPTORIUM_HOME": str(directory / "home"),
            # As in the container in which the page runs them; it has no model library.
            "SCRIPTORIUM_COMPONENT": "reconciler",
            "SCRIPTORIUM_MODEL": "fake",
            "SCRIPTORIUM_API_PORT": "0",
        }

    def _submit(self, model: str) -> Job:
        return self._cluster.submit(self._talk, model=model, language="en")

    def _canceled(self) -> str:
        job = self._submit("fake-1x").id
        assert run("cancel", job) == 0
        return job

    def _key(self) -> str:
        return next(iter(keys_of(self._cluster)))

    def filled(self, command: str) -> list[str]:
        """The command's words, with values in the place of what a person puts in."""
        words = shlex.split(command)
        for number, word in enumerate(words):
            if word == "JOB":
                running = {"cancel": lambda: self._submit("fake-1x").id, "retry": self._canceled}
                words[number] = running.get(words[number - 1], lambda: self.completed.id)()
            elif word == "ID":
                words[number] = self._key()
            else:
                known = {"~/restored": "restored", "file:///backup/store": "copy"}
                if word == "acme":
                    words[number] = self.completed.tenant
                elif word in known:
                    place = self._directory / known[word]
                    words[number] = place.as_uri() if word.startswith("file:") else str(place)
                assert not _PLACEHOLDER.fullmatch(word), f"{command}: what is {word}?"
        return words


def keys_of(cluster: ClusterUnderTest) -> Iterator[str]:
    from orchestrator.access.keys import ApiKeys

    for key in ApiKeys(cluster.connection.store, cluster.connection.settings).of_tenant("default"):
        yield key.id


def run(*words: str) -> int:
    """The status of a command, in this process: to start one takes seconds."""
    sys.argv = ["scriptorium", *words]
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def started(words: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*PROGRAM, *words],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def ended(process: subprocess.Popen[bytes]) -> int:
    """The status of a command that is told to end once it listens to that."""
    eventually(lambda: _takes_signals(process.pid) or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    return process.wait(END_SECONDS)


def _takes_signals(pid: int) -> bool:
    """Tell whether a process has a handler of SIGTERM (/proc: a mask, bit 0 is signal 1)."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(mask, 16) >> (signal.SIGTERM - 1) & 1)


def test_the_page_names_commands() -> None:
    found = commands()
    assert {
        "doctor",
        "load",
        "list --all-tenants",
        "status JOB",
        "keys revoke ID",
        "reconciler",
    } <= set(found)


def test_each_command_of_the_runbook_ends_well(
    start_cluster: StartCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runbook = Runbook(start_cluster(workers=1, model="fake"), tmp_path)
    for name, value in runbook.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", [])  # which `run` sets, and the test's end puts back
    eventually(lambda: run("load") == 0)  # the reconciler has measured it
    found = {command: RUN_ON.intersection(shlex.split(command)) for command in commands()}
    last = {word: command for command, words in found.items() for word in words}
    statuses = {}
    with ExitStack() as stack:
        running = {}
        for command in last.values():  # of two that run the same, the one with options
            process = stack.enter_context(started(runbook.filled(command), runbook.environment))
            stack.callback(process.kill)
            running[command] = process
        for command, words in found.items():
            if not words:
                statuses[command] = run(*runbook.filled(command))
        for command, process in running.items():
            statuses[command] = ended(process) - SIGNALLED.get(command.split()[0], 0)
    assert {command: status for command, status in statuses.items() if status} == {}

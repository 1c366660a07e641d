"""A side's process, seen from the runner: what it answers, and what it takes meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Self

from benchmarks.machine import ProcessorTime, tree_memory_mb
from benchmarks.speed.sides import Kind, Setup

MEMORY_SECONDS = 0.5  # between two looks
GRACE_SECONDS = 30.0  # for a cluster to end


class SideFailed(RuntimeError):
    """The side's process ended; the message is the end of what it printed."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one request gave and took."""

    seconds: float
    texts: tuple[str, ...]
    busy: dict[str, float]
    peak_memory_mb: float
    cpu_seconds: float
    other_share: float  # of the machine


class SideProcess:
    """Starts the process and waits until its model is there; use as a context manager."""

    def __init__(self, kind: Kind, setup: Setup, peers_python: Path, log: Path) -> None:
        """Raises SideFailed."""
        python = str(peers_python) if kind.of_peers else sys.executable
        command = [python, "-m", "benchmarks.speed.sides", kind.module, json.dumps(asdict(setup))]
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **kind.environment},
            )
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let it end by itself, else tell it to, else end it."""
        _pipe(self._process.stdin).close()
        for harder in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                harder()
        self._process.wait()
        _pipe(self._process.stdout).close()

    def warm_up(self, path: Path) -> None:
        """Let it do everything once."""
        self._ask([path], 1, is_warm_up=True)

    def transcribe(self, paths: Sequence[Path], batch_size: int) -> Run:
        """All files; memory and processor time are of its children too. Raises SideFailed."""
        clock = ProcessorTime(self._process.pid)
        with PeakMemory(self._process.pid) as memory:
            answer = self._ask(paths, batch_size, is_warm_up=False)
        own, others = clock.stop()
        seconds = answer["seconds"]
        return Run(
            seconds=round(seconds, 3),
            texts=tuple(answer["texts"]),
            busy=answer["busy"],
            peak_memory_mb=round(memory.peak, 1),
            cpu_seconds=round(own, 2),
            other_share=round(others / (seconds * (os.cpu_count() or 1)), 4),
        )

    def _ask(self, paths: Sequence[Path], batch_size: int, *, is_warm_up: bool) -> dict[str, Any]:
        request = {
            "paths": [str(path) for path in paths],
            "batch_size": batch_size,
            "is_warm_up": is_warm_up,
        }
        to_child = _pipe(self._process.stdin)
        try:
            to_child.write(json.dumps(request) + "\n")
            to_child.flush()
        except BrokenPipeError as error:
            raise self._failure() from error
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise self._failure()
        found: dict[str, Any] = json.loads(line)
        return found

    def _failure(self) -> SideFailed:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return SideFailed(lines[-1] if lines else "It ended without a word.")


class PeakMemory:
    """The most memory that a process and its children held, looked at every second."""

    def __init__(self, pid: int) -> None:
        self.peak = 0.0
        self._pid, self._stop = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, tree_memory_mb(self._pid))
            if self._stop.wait(MEMORY_SECONDS):
                return


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream

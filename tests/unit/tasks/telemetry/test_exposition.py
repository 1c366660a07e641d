"""A process's metrics as a registry, alone or with others of its machine, and on a port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_open_metrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics_families,
)
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.local.workers import WorkerSpec, worker_command, worker_environment
from tasks.runs.stages import Pool
from tasks.telemetry import exposition
from tasks.telemetry.exposition import make_registry, serve_metrics, serve_own_metrics
from tests.ip_families import needs_ipv6

COUNTING = """
import os, signal, sys
from tasks.telemetry.metrics import JOBS_SUBMITTED, UNIT_SECONDS
JOBS_SUBMITTED.labels("api").inc(int(sys.argv[1]))
UNIT_SECONDS.labels("transcribe", "tiny").observe(float(sys.argv[1]))
print(os.getpid(), flush=True)
if sys.argv[2] == "dies":
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.read()
"""


def count(directory: Path, number: int, *, dies: bool = False) -> subprocess.Popen[str]:
    """A process that counts together with others and then dies, or lives."""
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTING, str(number), "dies" if dies else "lives"],
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(directory)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline()
    return process


def value(registry: CollectorRegistry, sample: str, **labels: str) -> float | None:
    return registry.get_sample_value(sample, labels)


def test_a_process_alone_tells_what_it_has_counted_itself() -> None:
    registry = make_registry(None)
    text = generate_latest(registry).decode()
    names = {one.name for one in text_string_to_metric_families(text)}
    assert {"scriptorium_units", "scriptorium_leases_lost", "python_info"} <= names
    assert "_created" not in text
    assert list(open_metrics_families(generate_open_metrics(registry).decode()))


def test_processes_of_one_machine_count_together_and_the_dead_stay(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    with count(tmp_path, 2, dies=True) as dead, count(tmp_path, 3) as alive:
        assert dead.wait(30) == -signal.SIGKILL
        labels = {"stage": "transcribe", "model": "tiny"}
        assert value(registry, "scriptorium_jobs_submitted_total", way="api") == 5
        assert value(registry, "scriptorium_unit_seconds_count", **labels) == 2
        assert value(registry, "scriptorium_unit_seconds_sum", **labels) == 5
        assert list(open_metrics_families(generate_open_metrics(registry).decode()))
        alive.communicate()
    assert value(registry, "scriptorium_jobs_submitted_total", way="api") == 5


@pytest.mark.parametrize("content", [b"", b"\xff" * 100], ids=["empty", "broken"])
def test_a_file_that_is_not_whole_costs_no_reply(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "counter_1.db").write_bytes(content)
    assert generate_latest(make_registry(tmp_path)) == b""


def test_a_directory_that_is_gone_tells_nothing(tmp_path: Path) -> None:
    assert generate_latest(make_registry(tmp_path / "gone")) == b""


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("[::1]", marks=needs_ipv6)])
def test_they_are_served_on_a_port_of_their_own(host: str) -> None:
    port = serve_own_metrics(Settings(metrics_port=0))
    with urllib.request.urlopen(f"http://{host}:{port}/metrics") as reply:
        assert reply.headers["Content-Type"].startswith("text/plain")
        assert b"scriptorium_leases_lost_total" in reply.read()


def test_without_a_port_nothing_is_served() -> None:
    assert serve_own_metrics(Settings()) is None


def test_a_port_that_is_taken_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidOption, match="in use") as refused:
            serve_metrics(port, CollectorRegistry())
        assert "SCRIPTORIUM_METRICS_PORT" in refused.value.advice
        monkeypatch.setattr(exposition, "settings", lambda: Settings(metrics_port=port))
        with pytest.raises(SystemExit, match=f"port {port}"):  # ends a worker before it begins
            exposition._serve()


@pytest.mark.slow
def test_a_worker_whose_port_is_taken_ends_and_says_so(settings: Settings, redis: Redis) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        values = settings.model_copy(update={"metrics_port": taken.getsockname()[1]})
        spec = WorkerSpec(f"gpu@taken-{os.getpid()}", Pool.GPU)
        ended = subprocess.run(
            worker_command(spec),
            env=worker_environment(spec, values, os.environ, takes_over=True),
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert ended.returncode != 0
    assert "The metrics cannot be served" in ended.stderr
    assert "Traceback" not in ended.stderr

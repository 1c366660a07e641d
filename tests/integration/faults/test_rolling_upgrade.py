"""The previous release and this one, side by side on one Redis and store, while jobs run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.job import Job
from orchestrator.jobs.following import follow
from orchestrator.local.process import Child
from orchestrator.local.programs import settings_environment
from orchestrator.local.redis_server import RedisServer
from tests import ROOT
from tests.eventually import eventually
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT, quick_settings, worker_events

PREVIOUS = "7d84235"  # the last commit before quotas of costs and the index of ended jobs
# The output of `transcribe` changes with the upgrade, and so do its artifacts' keys.
STAGE_TABLE, NOW, BEFORE = (
    "tasks/runs/stages.py",
    "version=3, first_speed=40.0",
    "version=2, first_speed=40.0",
)
OPTIONS = ("--chunk-seconds", "6", "--aligner", "ctc", "--diarize", "--shard-seconds", "16")
MODEL_STAGES = ("transcribe", "align", "embed_speakers")


@dataclass
class Release:
    """One version of the code, and its processes."""

    name: str
    tree: Path
    environment: dict[str, str]
    logs: Path
    stack: ExitStack

    def command(self, *arguments: str) -> list[str]:
        """A call of its command line; `-m` finds what lies in the working directory first."""
        return ["env", "-C", str(self.tree), sys.executable, *arguments]

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            self.command(*arguments), env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, *arguments: str, log: str) -> Child:
        child = Child(
            log,
            self.command("-m", "orchestrator.cli", *arguments),
            self.logs / f"{log}.log",
            self.environment,
        )
        self.stack.callback(child.kill)
        return child

    def worker(self, pool: str) -> Child:
        name = f"{pool}-{self.name}"
        return self.start("worker", "--pool", pool, "--name", f"{name}@test", log=name)

    def submit(self, path: Path, model: str) -> str:
        told = self.run(
            "-m", "orchestrator.cli", "submit", str(path), "--model", model,
            "--diarize-model", "fake", *OPTIONS,
        )  # fmt: skip
        return told.split()[-1]

    def rerun(self, job: str, model: str) -> str:
        return self.run("-m", "orchestrator.cli", "rerun", job, "--model", model).split()[-1]


@dataclass
class Upgrade:
    """Both releases, and what can be seen of them."""

    old: Release
    new: Release
    connection: Cluster
    logs: Path

    def is_ready(self, worker: Child) -> bool:
        return "ready." in worker.log_path.read_text()

    def chunks_by(self, release: Release) -> int:
        """Chunks that workers of a release have transcribed."""
        return sum(
            line["stage"] == "transcribe" and f"-{release.name}@" in line["worker"]
            for line in worker_events(self.logs, "unit_ended")
        )

    def job(self, job: str) -> Job:
        return self.connection.job(TENANT, job)

    def transcript(self, job: str) -> Any:
        return self.connection.result(TENANT, job)["transcript"]


@pytest.fixture
def upgrade(tmp_path: Path) -> Iterator[Upgrade]:
    """A Redis, a store, the previous release's tree and ours; nothing runs yet."""
    with ExitStack() as stack:
        redis = RedisServer(tmp_path)
        redis.start()
        stack.callback(redis.stop)
        (tmp_path / "store").mkdir()
        values = quick_settings(
            tmp_path / "home",
            redis_url=SecretStr(redis.url),
            store_url=(tmp_path / "store").as_uri(),
        )
        connection = open_cluster(values)
        stack.callback(connection.close)

        def release(name: str, tree: Path) -> Release:
            environment = settings_environment(values, os.environ) | {"PYTHONPATH": str(tree)}
            return Release(name, tree, environment, tmp_path, stack)

        old, new = release("old", previous_tree(tmp_path / "previous")), release("new", ROOT)
        for one in (old, new):
            assert one.run("-c", "import tasks; print(tasks.__file__)") == str(
                one.tree / "tasks" / "__init__.py"
            )
        yield Upgrade(old, new, connection, tmp_path)


def previous_tree(directory: Path) -> Path:
    """The packages as they were. Skips the test where their commit is not at hand."""
    directory.mkdir()
    packages = ("config", "gpu_worker", "tasks", "orchestrator")
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", PREVIOUS, *packages], capture_output=True, check=False
    )
    if archive.returncode != 0:
        pytest.skip(f"commit {PREVIOUS} is not in this checkout: git fetch --unshallow brings it")
    subprocess.run(["tar", "-x", "-C", str(directory)], input=archive.stdout, check=True)
    table = directory / STAGE_TABLE
    assert table.read_text().count(NOW) == 1
    table.write_text(table.read_text().replace(NOW, BEFORE))
    return directory


@pytest.mark.fault(
    "a rolling upgrade that changes the output of a stage, old and new processes side by side",
    "every job completes, equal bytes",
)
@pytest.mark.heavy
@pytest.mark.parametrize("first", ["workers", "control plane"])
def test_every_job_completes_while_old_processes_make_way_for_new_ones(
    upgrade: Upgrade, tmp_path: Path, first: str
) -> None:
    old, new = upgrade.old, upgrade.new
    control = old if first == "workers" else new
    reconciler = control.start("reconciler", log=f"reconciler-{control.name}")
    leaving = [old.worker("gpu"), old.worker("cpu")]
    paths = [
        write_wav(tmp_path / f"{seed}.wav", recording(50.0, seed=seed)[0]) for seed in (60, 61)
    ]
    jobs = [control.submit(path, "fake-2x") for path in paths]
    assert eventually(lambda: upgrade.chunks_by(old) > 0)

    coming = [new.worker("gpu"), new.worker("cpu")]
    assert eventually(lambda: all(upgrade.is_ready(worker) for worker in coming))
    assert eventually(lambda: upgrade.chunks_by(new) > 0)  # side by side
    for worker in leaving:
        assert not upgrade.job(jobs[-1]).status.final
        worker.terminate()
        assert worker.wait(60.0) and worker.exit_status == 0
    if control is old:
        reconciler.terminate()
        assert reconciler.wait(60.0) and reconciler.exit_status == 0
        new.start("reconciler", log="reconciler-new")

    assert ended(upgrade, jobs) == {"completed"}
    print(f"chunks by release: {upgrade.chunks_by(old)} old, {upgrade.chunks_by(new)} new")
    calm = [new.rerun(job, "fake") for job in jobs]  # in the same chunks
    assert ended(upgrade, calm) == {"completed"}
    for job, undisturbed in zip(jobs, calm, strict=True):
        assert upgrade.transcript(job) == upgrade.transcript(undisturbed)
    assert computed_twice(upgrade.logs) == []


def ended(upgrade: Upgrade, jobs: list[str]) -> set[str]:
    """How the jobs ended, after a wait."""
    return {
        job.status.value for job in follow(upgrade.connection, TENANT, jobs) if job.status.final
    }


def computed_twice(logs: Path) -> list[tuple[str, str]]:
    """Units that one release has computed more than once, with the worker.

    A stage whose output has changed between the releases has another artifact in each. A unit that
    is begun where the artifact before it is of the other release ends at once, and is issued again.
    """
    computed = Counter(
        (line["detail"]["unit"], line["worker"])
        for line in worker_events(logs, "unit_ended")
        if line["stage"] in MODEL_STAGES and line["outcome"] == "computed"
    )
    assert computed
    return [unit for unit, count in computed.items() if count > 1]

"""A watched folder: each whole file becomes one job, also across restarts; no half file does."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from structlog.testing import capture_logs

from gpu_worker.errors import StoreUnavailable
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs import sources
from orchestrator.triggers import folder as folder_module
from orchestrator.triggers.folder import WatchedFolder
from tasks.runs.options import JobOptions
from tests.inputs.examples import TENANT
from tests.unit.orchestrator.collections.collected import end_jobs
from tests.unit.orchestrator.jobs.lost_source import lose_source_once
from tests.unit.orchestrator.reconciler.passes import Clock, with_settings

SETTLE = 10.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "recordings"
    path.mkdir()
    return path


def watched(connection: Cluster, folder: Path, clock: Clock, **changes: Any) -> WatchedFolder:
    cluster = with_settings(connection, allowed_models="fake")
    options = JobOptions(model="fake", language="en")
    return WatchedFolder(cluster, folder, options, TENANT, SETTLE, clock=clock, **changes)


def settled(watching: WatchedFolder, clock: Clock) -> list[str]:
    """The names of the files that are submitted at this look and one a while later."""
    found = watching.look()
    clock.now += SETTLE
    return sorted(job.name for job in (*found, *watching.look()))


def test_a_file_should_be_ready_so_long_after_it_was_taken(
    connection: Cluster, folder: Path, clock: Clock
) -> None:
    (folder / "a.wav").write_bytes(b"sound")
    watching = watched(connection, folder, clock, ready_within=7200.0)
    settled(watching, clock)
    ((run, _),) = ((it, None) for it in connection.jobs.open_runs())
    due = connection.records.manifest(TENANT, run.job).ready_by
    assert due == pytest.approx(time.time() + 7200, abs=30)


def test_each_whole_file_becomes_one_job(connection: Cluster, folder: Path, clock: Clock) -> None:
    (folder / "a.wav").write_bytes(b"sound")
    (folder / "deep").mkdir()
    (folder / "deep" / "b.wav").write_bytes(b"more sound")
    for name in (".hidden.wav", "c.wav.part", "empty.wav"):
        (folder / name).write_bytes(b"" if name == "empty.wav" else b"x")
    (folder / "link.wav").symlink_to("/etc/hostname")
    watching = watched(connection, folder, clock)
    assert watching.look() == []
    assert settled(watching, clock) == ["a.wav", "b.wav"]
    assert settled(watching, clock) == []
    assert settled(watched(connection, folder, clock), clock) == []  # started again
    assert len(connection.jobs.open_runs()) == 2


def test_a_file_that_still_grows_waits(connection: Cluster, folder: Path, clock: Clock) -> None:
    path = folder / "a.wav"
    path.write_bytes(b"so")
    watching = watched(connection, folder, clock)
    for _ in range(3):
        assert watching.look() == []
        clock.now += SETTLE
        path.write_bytes(path.read_bytes() + b"u")
    assert settled(watching, clock) == ["a.wav"]


def test_a_file_that_changes_while_it_is_read_waits(
    connection: Cluster, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "a.wav"
    path.write_bytes(b"sound")
    watching = watched(connection, folder, clock)
    real = sources.take_file

    def take_and_write(*given: Any) -> Any:
        source = real(*given)
        path.write_bytes(b"sound and more")
        return source

    with monkeypatch.context() as patched:
        patched.setattr(folder_module, "take_file", take_and_write)
        assert settled(watching, clock) == []
    assert list(connection.store.list(f"tenants/{TENANT}/sources/")) == []
    assert settled(watching, clock) == ["a.wav"]


def test_a_file_that_was_replaced_is_another_job(
    connection: Cluster, folder: Path, clock: Clock
) -> None:
    path = folder / "a.wav"
    path.write_bytes(b"sound")
    watching = watched(connection, folder, clock)
    assert settled(watching, clock) == ["a.wav"]
    path.write_bytes(b"other")
    os.utime(path, (1, 1))
    assert settled(watching, clock) == ["a.wav"]
    assert len(connection.jobs.open_runs()) == 2


def test_only_names_with_a_suffix_are_taken(
    connection: Cluster, folder: Path, clock: Clock
) -> None:
    for name in ("a.wav", "b.txt"):
        (folder / name).write_bytes(name.encode())
    assert settled(watched(connection, folder, clock, suffixes=[".wav"]), clock) == ["a.wav"]


def test_files_wait_while_the_quota_is_full(
    connection: Cluster, folder: Path, clock: Clock
) -> None:
    for number in range(3):
        (folder / f"{number}.wav").write_bytes(b"sound %d" % number)
    small = with_settings(connection, quotas={TENANT: {"jobs_in_flight": 2}})
    watching = watched(small, folder, clock)
    assert len(settled(watching, clock)) == 2
    assert settled(watching, clock) == []
    end_jobs(connection)
    assert len(settled(watching, clock)) == 1


def test_a_file_that_can_never_be_a_job_is_told_once(
    connection: Cluster, folder: Path, clock: Clock
) -> None:
    (folder / "large.wav").write_bytes(b"sound")
    (folder / "small.wav").write_bytes(b"s")
    watching = watched(with_settings(connection, max_source_bytes=2), folder, clock)
    assert settled(watching, clock) == ["small.wav"]
    assert len(watching._done) == 2


def test_a_file_that_goes_with_another_job_before_it_is_claimed_is_taken_at_the_next_look(
    connection: Cluster, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.wav").write_bytes(b"sound")
    watching = watched(connection, folder, clock)
    claimed_by = lose_source_once(monkeypatch)
    assert settled(watching, clock) == []
    assert settled(watching, clock) == ["a.wav"]
    assert len(claimed_by) == 2


def test_why_a_file_waits_is_told_once_and_it_is_tried_again(
    connection: Cluster, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.wav").write_bytes(b"sound")
    watching = watched(connection, folder, clock)
    with monkeypatch.context() as patched, capture_logs() as lines:
        for fault in (PermissionError("Not ours."), StoreUnavailable("Away.")):
            patched.setattr(folder_module, "take_file", Mock(side_effect=fault))
            assert settled(watching, clock) == settled(watching, clock) == []
    assert [line["reason"] for line in lines] == ["Not ours.", "Away."]
    assert settled(watching, clock) == ["a.wav"]

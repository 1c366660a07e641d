"""What a worker process holds while it lives."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from celery.signals import heartbeat_sent, setup_logging, worker_init, worker_process_init

from config.settings import Settings
from gpu_worker.errors import ModelNotTrusted
from gpu_worker.loaded import LoadedEngines
from gpu_worker.models.hub_turns import STAGGER
from tasks.execution import scratch, sweeping
from tasks.execution import workplace as lifecycle
from tasks.execution.workplace import Workplace, workplace
from tasks.runs.options import JobOptions
from tests.eventually import eventually


def test_a_process_has_one_workplace(place: Workplace) -> None:
    assert workplace() is place
    assert str(os.getpid()) in place.worker


def test_threads_that_ask_for_it_at_once_get_the_same(place: Workplace) -> None:
    lifecycle._open.cache_clear()
    together = threading.Barrier(8)

    def ask(_: int) -> Workplace:
        together.wait()
        return workplace()

    with ThreadPoolExecutor(8) as pool:
        assert len({id(found) for found in pool.map(ask, range(8))}) == 1


def test_a_forked_child_makes_its_own(place: Workplace) -> None:
    assert lifecycle._open(os.getpid() + 1) is not place


def test_a_worker_s_name_is_that_of_its_node(
    place: Workplace, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Node:
        """What Celery hands to the signal."""

        hostname = "gpu0@here"

    monkeypatch.setattr(lifecycle, "hide_memory", lambda: None)
    worker_init.send(sender=Node())
    try:
        lifecycle._open.cache_clear()
        assert workplace().worker == "gpu0@here"
    finally:
        lifecycle._nodes.clear()


def is_readable() -> int:
    """Whether other processes of the user can read this one (PR_GET_DUMPABLE)."""
    return int(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))


@pytest.mark.skipif(sys.platform != "linux", reason="a flag of Linux")
def test_a_worker_s_memory_is_closed_to_other_processes(settings: Settings) -> None:
    worker_init.send(sender=None)
    try:
        assert is_readable() == 0
    finally:
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE
        lifecycle._nodes.clear()


def test_what_killed_workers_left_goes_at_the_start_and_hourly(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.work_dir is not None
    settings.work_dir.mkdir(parents=True, exist_ok=True)

    def leave() -> Path:
        path, lock = scratch._made(settings.work_dir)
        (path / "source").write_bytes(b"secret")
        os.close(lock)  # as the kernel does when the owner is killed
        return path

    monkeypatch.setattr(lifecycle, "settings", lambda: settings)
    monkeypatch.setattr(sweeping, "settings", lambda: settings)
    monkeypatch.setattr(lifecycle, "hide_memory", lambda: None)
    left = leave()
    worker_init.send(sender=None)
    lifecycle._nodes.clear()
    assert not left.exists()
    left = leave()
    heartbeat_sent.send(sender=None)
    assert left.exists()  # the hour is not over
    monkeypatch.setattr(sweeping, "SWEEP_SECONDS", 0.0)
    heartbeat_sent.send(sender=None)
    assert eventually(lambda: not left.exists())


def test_ctrl_c_is_left_to_the_parent() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        worker_process_init.send(sender=None)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_worker_s_log_is_ours(place: Workplace) -> None:
    setup_logging.send(sender=None)
    assert len(logging.getLogger().handlers) == 1


def test_a_job_s_model_is_loaded_once_with_the_worker_s_settings(place: Workplace) -> None:
    loaded = place.engine(JobOptions(model="fake"))
    assert loaded.engine.name == "fake"
    assert place.engine(JobOptions(model="fake", beam_size=5)) is loaded


def test_another_compute_type_is_another_engine(place: Workplace) -> None:
    place = replace(place, engines=LoadedEngines(2))
    first = place.engine(JobOptions(model="fake"))
    assert place.engine(JobOptions(model="fake", compute_type="int8")) is not first


@pytest.mark.parametrize("options", [{"model": "/etc"}, {"model": "base", "revision": "0123abc"}])
def test_a_worker_loads_no_model_that_its_operator_does_not_allow(
    place: Workplace, options: dict[str, str]
) -> None:
    with pytest.raises(ModelNotTrusted, match="not one of the models"):
        place.engine(JobOptions.model_validate(options))
    with pytest.raises(ModelNotTrusted, match="/etc is not one of the models"):
        place.aligner(JobOptions(model="fake", align_model="/etc"), "en")


def test_scratch_is_private_and_gone_afterwards(place: Workplace) -> None:
    with place.scratch() as path:
        (path / "file").touch()
        assert path.parent == place.settings.work_dir
        assert path.stat().st_mode & 0o077 == 0
    assert not path.exists()


def test_scratch_is_gone_after_an_error_too(place: Workplace) -> None:
    with pytest.raises(InterruptedError), place.scratch() as path:
        raise InterruptedError
    assert not path.exists()


def test_without_a_work_directory_the_system_s_is_used(
    place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    values = place.settings.model_copy(update={"work_dir": None})
    with replace(place, settings=values).scratch() as path:
        assert path.parent == tmp_path
    assert eventually(lambda: not path.exists())


def test_a_job_s_engine_is_that_of_the_setting_if_it_can_do_the_job(
    place: Workplace, settings: Settings
) -> None:
    worker = replace(place, settings=settings.model_copy(update={"engine": "torch"}))
    greedy = JobOptions(model="pico", beam_size=1)
    assert place.engine_request(greedy).engine == "faster_whisper"
    assert worker.engine_request(greedy).engine == "torch"
    assert worker.engine_request(JobOptions(model="pico", beam_size=2)).engine == "faster_whisper"


def test_the_encoder_of_the_engine_torch_is_that_of_the_setting(
    place: Workplace, settings: Settings
) -> None:
    greedy = JobOptions(model="pico", beam_size=1)
    changes = {"engine": "torch", "torch_encoder": "onnx"}
    worker = replace(place, settings=settings.model_copy(update=changes))
    assert place.engine_request(greedy).encoder == "torch"
    assert worker.engine_request(greedy).encoder == "onnx"


def test_it_says_how_far_apart_the_hub_is_asked(
    place: Workplace, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(STAGGER, "seconds", 0.0)
    told = settings.model_copy(update={"hub_spread_seconds": 12.0})
    monkeypatch.setattr(lifecycle, "settings", lambda: told)
    lifecycle._open.cache_clear()
    workplace()
    assert STAGGER.seconds == 12.0

"""How worker processes are called and what they are told."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from config.settings import Settings
from orchestrator.local.workers import (
    WorkerSpec,
    count_gpus,
    plan_workers,
    worker_command,
    worker_environment,
    worker_program,
)
from tasks.stages import Pool, queues

VALUES = Settings(
    redis_url=SecretStr("redis://:secret@host/0"),
    store_url="file:///store",
    hf_token=SecretStr("hf_token"),
    home=Path("/home/x"),
    max_attempts=7,
    api_key=SecretStr("front door"),
    quotas={"acme": {"jobs_in_flight": 5}},
)


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_a_gpu_worker_is_one_process_with_threads() -> None:
    command = worker_command(WorkerSpec("gpu0@x", Pool.GPU, gpu=0, concurrency=3))
    assert option(command, "--pool") == "threads"
    assert option(command, "--concurrency") == "3"
    assert option(command, "--hostname") == "gpu0@x"
    assert option(command, "--queues") == ",".join(queues(Pool.GPU))


def test_a_cpu_worker_forks() -> None:
    command = worker_command(WorkerSpec("cpu@x", Pool.CPU))
    assert option(command, "--pool") == "prefork"
    assert "--include" not in command


def test_plugins_are_imported() -> None:
    command = worker_command(WorkerSpec("cpu@x", Pool.CPU, plugins=("a", "b")))
    assert option(command, "--include") == "a,b"


def test_no_secret_is_in_the_command_line() -> None:
    assert not any("secret" in part for part in worker_command(WorkerSpec("x", Pool.GPU)))


def test_the_settings_reach_the_child(monkeypatch: object) -> None:
    spec = WorkerSpec("gpu1@x", Pool.GPU, gpu=1, threads=3)
    environment = worker_environment(spec, VALUES, {"PATH": "/bin", "SCRIPTORIUM_MODEL": "tiny"})
    assert environment["PATH"] == "/bin"
    assert environment["SCRIPTORIUM_REDIS_URL"] == "redis://:secret@host/0"
    assert environment["SCRIPTORIUM_HF_TOKEN"] == "hf_token"
    assert environment["SCRIPTORIUM_MAX_ATTEMPTS"] == "7"
    assert environment["SCRIPTORIUM_MODEL"] == VALUES.model
    assert environment["CUDA_VISIBLE_DEVICES"] == "1"
    assert environment["OMP_NUM_THREADS"] == environment["SCRIPTORIUM_CPU_THREADS"] == "3"


def test_the_child_reads_the_same_settings(monkeypatch: object) -> None:
    import pytest

    environment = worker_environment(WorkerSpec("x", Pool.GPU), VALUES, {})
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        assert Settings() == VALUES.model_copy(update={"cpu_threads": 1, "api_key": None})


def test_a_worker_is_not_told_the_front_door_s_secrets() -> None:
    base = {"SCRIPTORIUM_API_KEY": "front door", "SCRIPTORIUM_HOOKS_SECRET": "front door"}
    environment = worker_environment(WorkerSpec("x", Pool.GPU), VALUES, base)
    assert "front door" not in environment.values()


def test_a_worker_of_this_machine_gives_way_to_the_api() -> None:
    program = worker_program(WorkerSpec("gpu0@x", Pool.GPU), VALUES, Path("/logs"))
    assert (program.name, program.log) == ("gpu0@x", Path("/logs/gpu0.log"))
    assert program.niceness > 0
    assert list(program.command) == worker_command(WorkerSpec("gpu0@x", Pool.GPU))


def test_a_cpu_worker_sees_no_gpu_and_hands_its_task_back() -> None:
    environment = worker_environment(WorkerSpec("cpu@x", Pool.CPU), VALUES, {})
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment["SCRIPTORIUM_DEVICE"] == "cpu"
    assert environment["REMAP_SIGTERM"] == "SIGQUIT"


def test_a_gpu_worker_without_a_gpu_of_its_own_keeps_what_it_was_given() -> None:
    environment = worker_environment(WorkerSpec("gpu@x", Pool.GPU), VALUES, {})
    assert "CUDA_VISIBLE_DEVICES" not in environment
    assert "REMAP_SIGTERM" not in environment


def test_workers_are_spread_over_the_gpus() -> None:
    specs = plan_workers(3, 2, "x")
    assert [(spec.pool, spec.gpu) for spec in specs] == [
        (Pool.CPU, None),
        (Pool.GPU, 0),
        (Pool.GPU, 1),
        (Pool.GPU, 0),
    ]
    assert len({spec.name for spec in specs}) == 4


def test_without_gpus_the_cores_are_shared() -> None:
    specs = plan_workers(64, 0, "x")
    assert {spec.gpu for spec in specs} == {None}
    assert min(spec.threads for spec in specs) >= 1


def test_gpus_are_counted_without_a_driver_too() -> None:
    assert count_gpus() >= 0

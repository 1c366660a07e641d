"""How worker processes are called and what they are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.errors import InvalidOption, LibraryMissing
from orchestrator.local import workers
from orchestrator.local.cluster import LocalCluster
from orchestrator.local.workers import (
    WorkerSpec,
    check_libraries,
    pool_named,
    stages_named,
    worker_command,
    worker_environment,
    worker_program,
)
from tasks.runs.stages import Pool, Stage, queues

VALUES = Settings(
    redis_url=SecretStr("redis://:secret@host/0"),
    store_url="file:///store",
    hf_token=SecretStr("hf_token"),
    home=Path("/home/x"),
    max_attempts=7,
    api_key=SecretStr("front door and yard"),
    quotas={"acme": {"jobs_in_flight": 5}},
    pools={"mig": {"stages": ["align", "embed_speakers"], "concurrency": 3}},
)


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_a_gpu_worker_is_one_process_with_threads() -> None:
    command = worker_command(WorkerSpec("gpu0@x", Pool.GPU, gpu=0, concurrency=3))
    assert option(command, "--pool") == "threads"
    assert option(command, "--concurrency") == "4"  # one for another tenant
    assert option(command, "--hostname") == "gpu0@x"
    assert option(command, "--queues") == ",".join(queues(Pool.GPU))


def test_a_cpu_worker_forks() -> None:
    command = worker_command(WorkerSpec("cpu@x", Pool.CPU))
    assert option(command, "--pool") == "prefork"
    assert "--include" not in command


@pytest.mark.parametrize(
    ("kind", "stages", "says"),
    [
        (Pool.CPU, "", "cannot diarize.|--stages prepare,fan_out,assemble."),
        (Pool.GPU, "", "cannot align or embed_speakers.|--stages detect_language,transcribe."),
        (Pool.GPU, "align", "torch not installed|pip install 'scriptorium[worker]'."),
        (Pool.CPU, "prepare,fan_out,assemble", ""),
        (Pool.GPU, "detect_language,transcribe", ""),
    ],
)
def test_a_worker_without_torch_takes_no_unit_that_needs_it(
    kind: Pool, stages: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the image cpu-worker, say; else it would fail the units that others can do."""
    chosen = frozenset(map(Stage, stages.split(","))) if stages else frozenset[Stage]()
    spec = WorkerSpec("one@x", kind, stages=chosen)
    monkeypatch.setattr(workers, "find_spec", lambda name: None)
    if not says:
        check_libraries(spec)
        return
    with pytest.raises(LibraryMissing) as refused:
        check_libraries(spec)
    message, hint = says.split("|")
    assert message in str(refused.value) and refused.value.advice.endswith(hint)
    monkeypatch.setattr(workers, "find_spec", lambda name: name)
    check_libraries(spec)


def test_a_worker_of_few_stages_reads_their_queues_alone() -> None:
    stages = frozenset({Stage.EMBED_SPEAKERS, Stage.ALIGN})
    command = worker_command(WorkerSpec("mig@x", Pool.GPU, stages=stages))
    assert option(command, "--queues").split(",") == [
        "align.interactive", "embed_speakers.interactive", "align.bulk", "embed_speakers.bulk",
    ]  # fmt: skip


def test_a_pool_is_one_of_the_settings() -> None:
    pool = pool_named("mig", VALUES)
    assert (pool.kind, pool.concurrency) == (Pool.GPU, 3)
    assert pool_named("cpu", VALUES).kind is Pool.CPU
    with pytest.raises(InvalidOption, match="'h100'") as refused:
        pool_named("h100", VALUES)
    assert "cpu, gpu, mig" in refused.value.advice


def test_some_of_a_pool_s_stages_are_chosen_by_name() -> None:
    assert stages_named("align, embed_speakers", pool_named("mig", VALUES)) == {
        Stage.ALIGN, Stage.EMBED_SPEAKERS,
    }  # fmt: skip
    for names in ("align,transcribe", "prepare", "", "nonsense"):
        with pytest.raises(InvalidOption, match="pool mig") as refused:
            stages_named(names, pool_named("mig", VALUES))
        assert "It does align, embed_speakers." in refused.value.advice


def test_plugins_are_imported() -> None:
    command = worker_command(WorkerSpec("cpu@x", Pool.CPU, plugins=("a", "b")))
    assert option(command, "--include") == "a,b"


def test_no_secret_is_in_the_command_line() -> None:
    assert not any("secret" in part for part in worker_command(WorkerSpec("x", Pool.GPU)))


def test_the_settings_reach_the_child() -> None:
    spec = WorkerSpec("gpu1@x", Pool.GPU, gpu=1, threads=3)
    environment = worker_environment(spec, VALUES, {"PATH": "/bin", "SCRIPTORIUM_MODEL": "tiny"})
    assert environment["PATH"] == "/bin"
    assert environment["SCRIPTORIUM_REDIS_URL"] == "redis://:secret@host/0"
    assert environment["SCRIPTORIUM_HF_TOKEN"] == "hf_token"
    assert environment["SCRIPTORIUM_MAX_ATTEMPTS"] == "7"
    assert environment["SCRIPTORIUM_MODEL"] == VALUES.model
    assert environment["CUDA_VISIBLE_DEVICES"] == "1"
    assert environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert environment["OMP_NUM_THREADS"] == environment["SCRIPTORIUM_CPU_THREADS"] == "3"


@pytest.mark.parametrize(("pool", "told"), [("mig", "mig"), ("", "gpu")])
def test_a_worker_s_speed_is_that_of_its_pool(pool: str, told: str) -> None:
    environment = worker_environment(WorkerSpec("x", Pool.GPU, pool), VALUES, {})
    assert environment["SCRIPTORIUM_WORKER_POOL"] == told


def test_the_child_reads_the_same_settings() -> None:
    environment = worker_environment(WorkerSpec("x", Pool.GPU), VALUES, {})
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        changes = {"cpu_threads": 1, "api_key": None, "worker_pool": "gpu"}
        assert Settings() == VALUES.model_copy(update=changes)


def test_a_worker_is_not_told_the_front_door_s_secrets() -> None:
    base = {"SCRIPTORIUM_API_KEY": "front door and yard", "SCRIPTORIUM_HOOKS_SECRET": "front door"}
    environment = worker_environment(WorkerSpec("x", Pool.GPU), VALUES, base)
    assert "front door and yard" not in environment.values()


def test_a_worker_is_a_program_of_this_machine() -> None:
    spec = WorkerSpec("gpu0@x", Pool.GPU, niceness=3)
    program = worker_program(spec, VALUES, Path("/logs"))
    assert (program.name, program.log) == ("gpu0@x", Path("/logs/gpu0.log"))
    assert program.niceness == 3
    assert list(program.command) == worker_command(spec)


@pytest.mark.parametrize("api", [True, False])
def test_workers_give_way_to_an_api_and_to_nothing_else(api: bool, tmp_path: Path) -> None:
    cluster = LocalCluster(Settings(home=tmp_path), workers=1, api=api)
    assert (cluster._plan.niceness > 0) is api


def test_a_cpu_worker_sees_no_gpu_and_hands_its_task_back() -> None:
    environment = worker_environment(WorkerSpec("cpu@x", Pool.CPU), VALUES, {})
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment["SCRIPTORIUM_DEVICE"] == "cpu"
    assert environment["REMAP_SIGTERM"] == "SIGQUIT"


@pytest.mark.parametrize(("set_to", "told"), [("auto", "cuda"), ("cpu", "cpu"), ("cuda", "cuda")])
def test_a_worker_that_is_given_a_gpu_does_not_go_without_it(set_to: str, told: str) -> None:
    values = VALUES.model_copy(update={"device": set_to})
    environment = worker_environment(WorkerSpec("gpu@x", Pool.GPU, gpu=0), values, {})
    assert environment["SCRIPTORIUM_DEVICE"] == told
    without = worker_environment(WorkerSpec("gpu@x", Pool.GPU), values, {})
    assert without["SCRIPTORIUM_DEVICE"] == set_to


def test_a_gpu_worker_without_a_gpu_of_its_own_keeps_what_it_was_given() -> None:
    environment = worker_environment(WorkerSpec("gpu@x", Pool.GPU), VALUES, {})
    assert "CUDA_VISIBLE_DEVICES" not in environment
    assert "REMAP_SIGTERM" not in environment

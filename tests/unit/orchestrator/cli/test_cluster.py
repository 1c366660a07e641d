"""Commands that become a part of a cluster: what they run, and what they refuse."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.api import server
from orchestrator.cli import cluster as commands
from orchestrator.cli.cluster import _places
from orchestrator.cluster.connection import Cluster
from orchestrator.local import workers
from orchestrator.local.front_door import celery_command
from tests.unit.gpu_worker.devices.test_naming import GPU, MIG, with_uuids
from tests.unit.orchestrator.cli.test_cli import Run, cluster, run

__all__ = ["cluster", "run"]


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What this process would have become, with any libraries."""
    calls: list[Any] = []
    monkeypatch.setattr(workers, "find_spec", lambda name: name)
    monkeypatch.setattr(os, "execve", lambda *call: calls.append(call))
    return calls


def test_triggers_celery_becomes_a_worker_without_the_front_door_s_secrets(
    run: Run, cluster: Cluster, became: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPTORIUM_API_KEY", "front door and yard")
    assert run("triggers", "celery", "--name", "submit@here").status == 0
    ((program, command, environment),) = became
    assert tuple(command) == celery_command("submit@here") and program == command[0]
    assert environment["SCRIPTORIUM_STORE_URL"] == cluster.settings.store_url
    assert "front door and yard" not in environment.values()


def test_a_worker_of_stages_that_have_no_libraries_here_does_not_start(
    run: Run, cluster: Cluster, became: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "find_spec", lambda name: None)
    ended = run("worker", "--pool", "cpu")
    assert ended.status == 1 and "--stages prepare,fan_out,assemble" in ended.out + ended.err
    assert run("worker", "--pool", "cpu", "--stages", "prepare,fan_out,assemble").status == 0
    assert len(became) == 1


def test_each_celery_trigger_has_a_name_of_its_own(
    run: Run, cluster: Cluster, became: list[Any]
) -> None:
    assert run("triggers", "celery").status == 0
    name = became[0][1][became[0][1].index("--hostname") + 1]
    assert name == f"submit-{os.getpid()}@{socket.gethostname()}"


def test_worker_becomes_one_of_its_pool(
    run: Run, cluster: Cluster, became: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = {"mig": {"stages": ["align", "embed_speakers"], "concurrency": 3}}
    monkeypatch.setenv("SCRIPTORIUM_POOLS", json.dumps(pools))
    assert run("worker", "--pool", "mig").status == 0
    assert run("worker", "--pool", "mig", "--stages", "align", "--gpu", "1").status == 0
    assert run("worker", "--pool", "cpu", "--name", "cpu@here").status == 0
    mig, align, cpu = ((call[1], call[2]) for call in became)
    assert (option(mig, "--pool"), option(mig, "--concurrency")) == ("threads", "4")
    assert option(mig, "--queues").startswith("align.interactive,embed_speakers.interactive,")
    assert option(mig, "--hostname") == f"mig-{os.getpid()}@{socket.gethostname()}"
    assert option(align, "--queues") == "align.interactive,align.bulk"
    assert align[1]["CUDA_VISIBLE_DEVICES"] == "1"
    assert (option(cpu, "--pool"), option(cpu, "--concurrency")) == ("prefork", "3")
    told = [environment["SCRIPTORIUM_WORKER_POOL"] for _, environment in (mig, align, cpu)]
    assert told == ["mig", "mig", "cpu"]


def test_a_worker_is_named_after_its_gpu_and_sees_no_other(
    run: Run, cluster: Cluster, became: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", with_uuids(GPU))
    for name in ("0", GPU, MIG):
        assert run("worker", "--gpu", name).status == 0
    tail = f"-{os.getpid()}@{socket.gethostname()}"
    for (_, command, environment), name, start in zip(
        became, ("0", GPU, MIG), ("gpu0", "gpu-GPU-1a2b3c4d", "gpu-MIG-5e6f7a8b"), strict=True
    ):
        assert command[command.index("--hostname") + 1] == start + tail
        assert environment["CUDA_VISIBLE_DEVICES"] == name


@pytest.mark.parametrize("gpu", ["gpu0", "0,1", "-1", "7", ""])
def test_a_gpu_that_is_none_is_refused_before_anything_starts(
    run: Run, became: list[Any], gpu: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", with_uuids(GPU))
    done = run("worker", f"--gpu={gpu}")
    assert done.status == 2
    assert "GPU" in done.err
    assert not became


def option(call: tuple[list[str], dict[str, str]], name: str) -> str:
    return call[0][call[0].index(name) + 1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("worker", "--pool", "h100"), "There are cpu, gpu"),
        (("worker", "--pool", "cpu", "--stages", "align"), "is not a stage that the pool cpu does"),
        (("up", "--workers", "2", "--max-workers", "4"), "not both"),
        (("up", "--min-workers", "5", "--max-workers", "4"), "more than --max-workers"),
        (("up", "--placement", "by-stage", "--workers", "4"), "one worker on each GPU"),
    ],
)
def test_workers_that_cannot_be_are_refused_in_a_sentence(
    run: Run, cluster: Cluster, became: list[Any], arguments: tuple[str, ...], sentence: str
) -> None:
    ended = run(*arguments)
    assert ended.status == 2
    assert sentence in ended.err and "Traceback" not in ended.err
    assert became == []


@pytest.mark.parametrize(
    ("model", "prefetched", "told"),
    [("base", "", "base"), ("base", "small, tiny", "small, tiny"), ("auto", "", "")],
)
def test_the_workers_of_up_load_the_model_of_jobs_that_name_none(
    run: Run, monkeypatch: pytest.MonkeyPatch, model: str, prefetched: str, told: str
) -> None:
    values: list[Settings] = []

    def local_cluster(settings: Settings, **_: Any) -> None:
        values.append(settings)
        raise InvalidOption("This is as far as the test goes.")

    monkeypatch.setattr(commands, "LocalCluster", local_cluster)
    monkeypatch.setenv("SCRIPTORIUM_MODEL", model)
    monkeypatch.setenv("SCRIPTORIUM_PREFETCH_MODELS", prefetched)
    assert run("up", "--workers", "1").status == 2
    assert [each.prefetch_models for each in values] == [told]


def test_serve_listens_where_it_is_told(
    run: Run, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[Settings, str, int]] = []
    monkeypatch.setattr(
        server, "run_server", lambda to, host, port, _: told.append((to.settings, host, port))
    )
    assert run("serve").status == 0
    assert run("serve", "--host", "::1", "--port", "0").status == 0
    assert [(host, port) for _, host, port in told] == [("127.0.0.1", 8000), ("::1", 0)]
    assert told[0][0].store_url == cluster.settings.store_url


def test_shared_servers_listen_on_one_port() -> None:
    with server.listen("127.0.0.1", 0, shared=True) as first:
        port = first.getsockname()[1]
        with server.listen("127.0.0.1", port, shared=True) as second:
            assert second.getsockname()[1] == port
        with pytest.raises(InvalidOption, match="another process"):
            server.listen("127.0.0.1", port)


def test_serve_refuses_a_public_address_without_keys(run: Run, cluster: Cluster) -> None:
    ended = run("serve", "--host", "0.0.0.0", "--port", "0")
    assert ended.status == 2
    assert "There are no API keys" in ended.err


def test_serve_says_that_its_port_is_taken(run: Run, cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = run("serve", "--port", listener.getsockname()[1])
    assert ended.status == 2
    assert "Traceback" not in ended.err


def test_flower_s_password_is_printed_only_if_it_was_made(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Settings(flower_password=SecretStr("hunter2"), flower_port=5555)
    cluster: Any = SimpleNamespace(
        services=SimpleNamespace(settings=known), api_url=None, logs="logs"
    )
    assert "password in the settings" in "\n".join(_places(cluster, known, True))
    told = "\n".join(_places(cluster, Settings(), True))
    assert "http://127.0.0.1:5555/" in told and "user scriptorium, password hunter2" in told
    assert "Flower" not in "\n".join(_places(cluster, Settings(), False))


def test_a_worker_that_forks_counts_in_a_fresh_directory_if_somebody_may_ask(
    run: Run, cluster: Cluster, became: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("worker", "--pool", "cpu").status == 0
    monkeypatch.setenv("SCRIPTORIUM_METRICS_PORT", "9100")
    monkeypatch.setenv("SCRIPTORIUM_HEARTBEAT_FILE", "/alive")
    assert run("worker", "--pool", "gpu").status == 0
    assert run("worker", "--pool", "cpu").status == 0
    assert run("worker", "--pool", "cpu").status == 0
    silent, gpu, *forking = (environment for _, _, environment in became)
    name = "PROMETHEUS_MULTIPROC_DIR"
    assert name not in silent and name not in gpu
    directories = [Path(environment[name]) for environment in forking]
    assert len(set(directories)) == 2 and all(it.is_dir() for it in directories)
    for directory in directories:
        directory.rmdir()
    for environment in (gpu, *forking):  # it is the same process
        assert environment["SCRIPTORIUM_METRICS_PORT"] == "9100"
        assert environment["SCRIPTORIUM_HEARTBEAT_FILE"] == "/alive"


def test_a_reconciler_whose_metrics_port_is_taken_says_so(
    run: Run, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        monkeypatch.setenv("SCRIPTORIUM_METRICS_PORT", str(taken.getsockname()[1]))
        ended = run("reconciler")
    assert ended.status == 2
    assert "SCRIPTORIUM_METRICS_PORT" in ended.err and "Traceback" not in ended.err


def test_a_gpu_is_refused_for_a_pool_that_uses_none(
    run: Run, cluster: Cluster, became: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", with_uuids(GPU))
    done = run("worker", "--pool", "cpu", "--gpu", "0")
    assert done.status == 2
    assert "use no GPU" in done.out + done.err
    assert not became

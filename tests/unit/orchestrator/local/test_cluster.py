"""A whole cluster of this machine: its parts, its address, its end. Workers are stood in for."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import RedisError

from config.settings import Settings
from gpu_worker.errors import InvalidOption, RedisUnavailable
from orchestrator import cli
from orchestrator.access.exposure import check_exposure
from orchestrator.cli import cluster as commands
from orchestrator.local import cluster as local
from orchestrator.local import workers
from orchestrator.local.cluster import ADDRESS_FILE, LocalCluster, announce, running_cluster
from orchestrator.local.programs import Program
from tasks.artifacts.opening import open_store
from tasks.runs.stages import Stage
from tests.eventually import eventually
from tests.inputs.examples import a_manifest, a_run, a_unit, write_records

pytestmark = pytest.mark.slow  # it starts real processes


@pytest.fixture(autouse=True)
def _waiting_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import signal; signal.pause()"
    monkeypatch.setattr(workers, "worker_command", lambda spec: [sys.executable, "-c", code])


@pytest.fixture
def values(tmp_path: Path) -> Settings:
    """Of a cluster that brings everything itself."""
    return Settings(home=tmp_path / "home", reconcile_seconds=0.01, reconcile_grace_seconds=0.01)


def is_reachable(url: str) -> bool:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    with Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False


def test_everything_it_started_is_stopped(values: Settings) -> None:
    with LocalCluster(values, workers=1) as cluster:
        settings = cluster.services.settings
        assert settings.redis_url is not None
        url = settings.redis_url.get_secret_value()
        assert is_reachable(url)
        assert eventually(lambda: len(cluster.supervisor.children()) == 2)
        pids = cluster.supervisor.children().values()
        assert settings.store_url == (values.home / "store").as_uri()
    assert not is_reachable(url)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_its_workers_follow_the_load(values: Settings) -> None:
    quick = {"gpu": {"scale_down_seconds": 0.0}}
    settings = values.model_copy(update={"pools": quick})
    with LocalCluster(settings, min_workers=0, max_workers=2) as cluster:
        assert eventually(lambda: [*cluster.supervisor.children()] == [f"cpu@{cluster.name}"])
        write_records(cluster.services.store, a_manifest())
        cluster.services.jobs.add(a_manifest(), a_run())  # the model will be wanted soon
        assert eventually(lambda: f"gpu0@{cluster.name}" in cluster.supervisor.children())


def test_it_issues_lost_work_again(values: Settings) -> None:
    from tests.queued_units import queued_units

    with LocalCluster(values, workers=1) as cluster:
        write_records(cluster.services.store, a_manifest())
        cluster.services.jobs.add(a_manifest(), a_run())
        waiting = {a_unit(Stage.PREPARE)}
        assert eventually(lambda: queued_units(cluster.services.redis) == waiting)


def test_a_configured_redis_is_used_and_left_running(
    values: Settings, redis: Redis, redis_url: str
) -> None:
    named = values.model_copy(update={"redis_url": SecretStr(redis_url)})
    with LocalCluster(named, workers=1) as cluster:
        assert cluster.services.redis.ping()
    assert is_reachable(redis_url)


def test_a_cluster_that_cannot_start_leaves_nothing_behind(values: Settings) -> None:
    wrong = values.model_copy(update={"store_url": "ftp://nowhere"})
    cluster = LocalCluster(wrong, workers=1)
    with pytest.raises(InvalidOption):
        cluster.__enter__()
    assert not hasattr(cluster, "supervisor")


def test_a_home_that_cannot_be_written_to_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InvalidOption, match="cannot be written to"),
        LocalCluster(Settings(home=tmp_path / "file" / "home")),
    ):
        pass


def test_its_address_is_left_for_this_user_s_other_commands(values: Settings) -> None:
    with LocalCluster(values, workers=1) as cluster:
        path = announce(cluster, values.home)
        assert path.stat().st_mode & 0o777 == 0o600
        found = running_cluster(values)
        assert found is not None
        assert found.redis_url == cluster.services.settings.redis_url
        assert found.store_url == cluster.services.settings.store_url


@pytest.mark.parametrize(
    "content",
    [None, "", "{}", "not json", json.dumps({"pid": 2**22 + 1, "redis_url": "", "store_url": ""})],
)
def test_without_a_running_cluster_there_is_none(values: Settings, content: str | None) -> None:
    if content is not None:
        values.home.mkdir()
        (values.home / ADDRESS_FILE).write_text(content)
    assert running_cluster(values) is None


def test_up_runs_until_it_is_told_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import signal

    stop = threading.Event()
    stop.set()
    monkeypatch.setattr(commands, "stop_event", lambda: stop)
    monkeypatch.setattr(commands, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(
        sys, "argv", ["scriptorium", "--home", str(tmp_path), "up", "--workers", "1", "--port", "0"]
    )
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as end:
            cli.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert not end.value.code
    out = capsys.readouterr().out
    assert "redis://***@127.0.0.1" in out and "Ready." in out
    assert "/docs" in out and "Flower" not in out
    assert not (tmp_path / ADDRESS_FILE).exists()


def test_the_front_door_is_supervised_where_it_is_wanted(
    values: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waiting(name: str) -> Callable[..., Program]:
        command = (sys.executable, "-c", "import signal; signal.pause()")
        return lambda settings, logs, *_: Program(name, command, {}, logs / "log")

    monkeypatch.setattr(local, "api_programs", lambda *it: [waiting("api")(*it)])
    for name in ("celery", "flower"):
        monkeypatch.setattr(local, f"{name}_program", waiting(name))
    free = values.model_copy(update={"api_port": 0, "flower_port": 0})
    with LocalCluster(free, workers=1, api=True, celery_trigger=True, flower=True) as cluster:
        assert eventually(lambda: len(cluster.supervisor.children()) == 5)
        assert {"api", "celery", "flower"} <= set(cluster.supervisor.children())
        assert cluster.api_url == f"http://127.0.0.1:{cluster.services.settings.api_port}"
        told = json.loads(announce(cluster, values.home).read_text())
        assert told["api_url"] == cluster.api_url


def test_a_public_address_without_keys_is_refused_before_a_program_starts(
    values: Settings,
) -> None:
    public = values.model_copy(update={"api_host": "0.0.0.0", "api_port": 0})
    cluster = LocalCluster(public, workers=1, api=True)
    with pytest.raises(InvalidOption, match="no API keys"):
        cluster.__enter__()
    assert not hasattr(cluster, "supervisor")
    keyed = public.model_copy(update={"api_key": SecretStr("scr_x")})
    assert check_exposure(open_store(values.home.as_uri()), keyed, "0.0.0.0") is False
    allowed = public.model_copy(update={"allow_anonymous": True})
    assert check_exposure(open_store(values.home.as_uri()), allowed, "0.0.0.0") is True


def test_a_redis_that_is_away_is_reported(values: Settings) -> None:
    away = values.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1")})
    with pytest.raises(RedisUnavailable), LocalCluster(away, workers=1):
        pass


def test_all_processes_count_together_where_somebody_can_ask(values: Settings) -> None:
    old = values.home / "metrics" / "counter_1.db"
    old.parent.mkdir(parents=True)
    old.touch()
    with LocalCluster(values, workers=1) as silent:
        assert silent.services.settings.metrics_dir is None
    assert old.exists()  # it may be that of another cluster
    asked = values.model_copy(update={"metrics_port": 0})
    with LocalCluster(asked, workers=1) as cluster:
        assert cluster.services.settings.metrics_dir == old.parent
        programs = cluster._programs(cluster.services.settings)
        for program in programs:
            assert program.environment["PROMETHEUS_MULTIPROC_DIR"] == str(old.parent)
            assert "SCRIPTORIUM_METRICS_PORT" not in program.environment
    assert not old.exists()


def test_up_says_that_its_metrics_port_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        monkeypatch.setenv("SCRIPTORIUM_METRICS_PORT", str(taken.getsockname()[1]))
        monkeypatch.setattr(commands, "stop_event", threading.Event)
        arguments = ["scriptorium", "--home", str(tmp_path), "up", "--workers", "1", "--no-api"]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as end:
            cli.main()
    assert end.value.code == 2
    assert "SCRIPTORIUM_METRICS_PORT" in capsys.readouterr().err


def test_other_users_of_the_machine_can_read_nothing_that_it_writes(
    values: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o022)  # as most users have it
    try:
        (values.home / "store").mkdir(parents=True)  # of an older version
        values.home.chmod(0o755)
        settings = values.model_copy(update={"metrics_port": 0})
        with LocalCluster(settings, workers=1) as cluster:
            cluster.services.store.put("tenants/a/secret", b"a transcript")
            announce(cluster, values.home)
            assert eventually(lambda: any((values.home / "logs").iterdir()))
            assert sorted(_reachable(values.home)) == []
    finally:
        os.umask(before)


def _reachable(directory: Path) -> list[Path]:
    """The files below that another user could open."""
    found: list[Path] = []
    for path in directory.iterdir():
        with suppress(FileNotFoundError):  # a file that is just being written has another name then
            mode = path.stat().st_mode
            if path.is_dir() and mode & 0o011:
                found += _reachable(path)
            elif path.is_file() and mode & 0o077:
                found.append(path)
    return found


def test_a_home_that_it_makes_is_closed_to_others(values: Settings) -> None:
    with LocalCluster(values, workers=1):
        for name in (".", "store", "logs"):
            assert (values.home / name).stat().st_mode & 0o077 == 0, name
        for log in (values.home / "logs").iterdir():
            assert log.stat().st_mode & 0o077 == 0, log

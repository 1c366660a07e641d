"""Each process is checked for what it needs: a reconciler needs no model library."""

from __future__ import annotations

import json
import subprocess
from importlib import machinery
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.diagnosis import components, diagnose
from orchestrator.diagnosis.components import Component, found_component, named_component

CONFIGURED: dict[str, Any] = {
    "redis_url": SecretStr("redis://somewhere/0"),
    "store_url": "memory://x",
}


@pytest.fixture
def no_model_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the image of the control plane: the child process that loads the libraries fails."""
    monkeypatch.setattr(components, "find_spec", lambda name: None)
    failed = subprocess.CompletedProcess([], 1, "", "ModuleNotFoundError: faster_whisper")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"component": "reconciler"}, Component.RECONCILER),
        ({"component": "triggers-celery"}, Component.TRIGGER),
        ({"component": "gpu-worker", "worker_pool": "cpu"}, Component.GPU_WORKER),
        ({"worker_pool": "cpu"}, Component.CPU_WORKER),
        ({"worker_pool": "gpu"}, Component.GPU_WORKER),
        ({}, Component.API),
        ({"redis_url": None}, Component.ALL),  # a user who wants to run a cluster of his own
    ],
    ids=str,
)
def test_what_a_process_is_for_is_found(
    no_model_library: None, told: dict[str, Any], found: Component
) -> None:
    assert found_component(Settings(**(CONFIGURED | told)))[0] is found


def test_a_machine_with_everything_is_checked_for_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = machinery.ModuleSpec("faster_whisper", None)
    monkeypatch.setattr(components, "find_spec", lambda name: here)
    assert found_component(Settings(**CONFIGURED))[0] is Component.ALL


def test_a_component_that_there_is_not_is_named() -> None:
    with pytest.raises(InvalidOption, match="no component 'flower'"):
        named_component("flower")


@pytest.mark.parametrize(
    ("component", "failed"),
    [
        (Component.API, set()),
        (Component.RECONCILER, set()),
        (Component.TRIGGER, set()),
        (Component.CPU_WORKER, set()),
        (Component.GPU_WORKER, {"engine", "speakers"}),
        (Component.ALL, {"engine", "speakers"}),
    ],
)
def test_only_what_a_component_needs_can_fail_it(
    settings: Settings,
    redis: Redis,
    no_model_library: None,
    component: Component,
    failed: set[str],
) -> None:
    findings = diagnose(settings, component)
    assert {finding.name for finding in findings if finding.state == "error"} == failed
    assert {"redis", "broker", "store"} <= {finding.name for finding in findings}


def test_what_each_component_needs_is_found_when_it_is_missing(tmp_path: Path) -> None:
    away = Settings(redis_url=SecretStr("redis://127.0.0.1:1"), store_url="ftp://x")
    for component in set(Component) - {Component.GPU_WORKER, Component.ALL}:
        states = {finding.name: finding.state for finding in diagnose(away, component)}
        assert (states["redis"], states["store"]) == ("error", "error")


def test_a_worker_that_is_told_a_gpu_fails_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    of_speakers = {"code": "library_missing", "message": "", "hint": ""}
    answer = {"faster_whisper": "1.2", "gpus": [], **of_speakers}
    none = subprocess.CompletedProcess([], 0, json.dumps(answer), "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: none)
    for device, state in (("auto", "warning"), ("cuda", "error")):
        findings = diagnose(Settings(device=device), Component.GPU_WORKER)
        assert next(it for it in findings if it.name == "engine").state == state

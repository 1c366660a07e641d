"""The card of this process, by a stand-in for NVML's library."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import pytest

from gpu_worker.devices import card
from gpu_worker.devices.card import CPU, UNKNOWN, used_card, used_joules, used_uuid
from tests.unit.gpu_worker.devices.test_nvml import DIVIDED, FULL, MIG, NVMLError, library

SMALL = FULL | {"Name": "NVIDIA L4", "TotalEnergyConsumption": 2000}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What the process knows of its card is kept for its life."""
    yield
    card._own_handle.cache_clear()
    card._own_name.cache_clear()


def install(monkeypatch: pytest.MonkeyPatch, nvml: ModuleType | None, devices: int) -> None:
    card._own_handle.cache_clear()
    card._own_name.cache_clear()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    ctranslate2 = SimpleNamespace(get_cuda_device_count=lambda: devices)
    monkeypatch.setitem(sys.modules, "ctranslate2", ctranslate2)


def test_the_card_is_the_first_that_the_launcher_has_left_visible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    install(monkeypatch, library(FULL, SMALL), devices=1)
    assert (used_card("auto"), used_joules("auto")) == ("NVIDIA L4", 2.0)


def test_a_worker_on_the_cpu_has_no_card_and_tells_no_energy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, library(FULL), devices=1)
    assert (used_card("cpu"), used_joules("cpu")) == (CPU, None)
    install(monkeypatch, library(FULL), devices=0)
    assert (used_card("auto"), used_joules("auto")) == (CPU, None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    install(monkeypatch, library(FULL), devices=0)
    assert (used_card("auto"), used_joules("auto")) == (CPU, None)


def test_a_card_that_nvml_does_not_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, library(init=NVMLError()), devices=1)
    assert (used_card("auto"), used_card("cuda"), used_joules("auto")) == (UNKNOWN, UNKNOWN, None)


def test_a_part_of_a_card_tells_no_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, library(MIG), devices=1)
    assert (used_card("auto"), used_joules("auto")) == ("NVIDIA H200", None)


def test_an_instance_of_a_card_does_not_claim_the_energy_of_the_card(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, library(DIVIDED), devices=1)
    assert (used_card("auto"), used_joules("auto")) == ("NVIDIA H200", None)


def test_the_card_has_the_same_uuid_for_all_that_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, library(FULL), devices=1)
    assert used_uuid("auto") == "GPU-8932f937-d72c"
    assert used_uuid("cpu") is None
    install(monkeypatch, library(MIG), devices=1)
    assert used_uuid("auto") is None
    install(monkeypatch, None, devices=0)
    assert used_uuid("auto") is None


def test_without_ctranslate2_the_card_that_nvml_names_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, library(FULL), devices=1)
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    assert (used_card("auto"), used_joules("auto")) == ("NVIDIA H200", 1234.567)


def test_without_nvml_no_model_library_is_loaded_to_find_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, None, devices=1)
    monkeypatch.delitem(sys.modules, "ctranslate2")
    assert used_card("auto") == CPU
    assert "ctranslate2" not in sys.modules

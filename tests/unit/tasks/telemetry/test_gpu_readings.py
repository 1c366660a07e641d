"""GPUs as metrics: each by its UUID, machine and pool, and no more than what it reports."""

from __future__ import annotations

import socket
from collections.abc import Iterable

import pytest
from prometheus_client.metrics_core import Metric

from config.settings import Settings
from gpu_worker.devices.nvml import GpuReading
from tasks.telemetry import gpu_readings
from tasks.telemetry.exposition import make_registry
from tasks.telemetry.gpu_readings import GpuReadings, gpu_families

CARD = GpuReading(0, "H200", 0.5, 10, 20, 7.5, 300.0, 61.0, "GPU-1")
SLICES = tuple(
    GpuReading(place, "H200 MIG 1g", memory_used_bytes=1, memory_total_bytes=2, uuid=f"MIG-{place}")
    for place in (0, 3)
)
DIVIDED = GpuReading(
    1, "H200", None, 3, 20, 9.5, 200.0, 50.0, "GPU-2", is_divided=True, instances=SLICES
)


def values(families: Iterable[Metric], name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """The samples of one metric, by the labels that are named."""
    return {
        tuple(one.labels[label] for label in labels): one.value
        for family in families
        if family.name == name
        for one in family.samples
    }


def test_a_gpu_is_named_by_its_uuid_its_machine_and_the_pool_of_its_worker() -> None:
    families = list(gpu_families([CARD], "node-7", "gpu"))
    assert [one.value for one in families[0].samples] == [0.5]
    assert families[0].samples[0].labels == {
        "gpu": "0",
        "name": "H200",
        "uuid": "GPU-1",
        "node": "node-7",
        "pool": "gpu",
    }
    assert values(families, "scriptorium_gpu_memory_bytes", "kind") == {
        ("used",): 10,
        ("total",): 20,
    }
    assert values(families, "scriptorium_gpu_energy_joules", "uuid") == {("GPU-1",): 7.5}
    assert list(gpu_families((), "node-7", "gpu")) == []


def test_an_instance_of_a_card_claims_its_memory_alone_and_the_card_is_of_no_pool() -> None:
    families = list(gpu_families([DIVIDED], "node-7", "mig"))
    memory = values(families, "scriptorium_gpu_memory_bytes", "gpu", "uuid", "pool", "kind")
    assert memory == {
        ("1", "GPU-2", "", "used"): 3,
        ("1", "GPU-2", "", "total"): 20,
        ("1:0", "MIG-0", "mig", "used"): 1,
        ("1:0", "MIG-0", "mig", "total"): 2,
        ("1:3", "MIG-3", "mig", "used"): 1,
        ("1:3", "MIG-3", "mig", "total"): 2,
    }
    names = {family.name for family in families}
    assert "scriptorium_gpu_use_ratio" not in names
    for name in ("energy_joules", "power_watts", "celsius"):
        found = values(families, f"scriptorium_gpu_{name}", "uuid", "pool")
        assert list(found) == [("GPU-2", "")], name


@pytest.mark.parametrize(("node", "told"), [("node-7", "node-7"), ("", socket.gethostname())])
def test_a_process_tells_of_its_gpus_at_each_scrape(
    node: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_readings, "own_gpus", lambda: (CARD,))
    registry = make_registry(None, GpuReadings(Settings(node=node, worker_pool="gpu")))
    labels = {"gpu": "0", "name": "H200", "uuid": "GPU-1", "node": told, "pool": "gpu"}
    assert registry.get_sample_value("scriptorium_gpu_celsius", labels) == 61.0

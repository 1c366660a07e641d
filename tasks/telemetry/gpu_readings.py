"""NVML's readings of the GPUs as metrics: those that this process may use.

Workers that share a card read the same counters, and so does an API beside them. Its UUID is the
same in all of them, so `max by (uuid)` takes a card once.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from config.settings import Settings
from gpu_worker.devices.nvml import GpuReading, own_gpus
from tasks.telemetry import metrics


class GpuReadings(Collector):
    """Asks NVML at each scrape."""

    def __init__(self, settings: Settings) -> None:
        """Take the names of the machine and of the worker's pool, which is empty elsewhere."""
        self._node = settings.node or socket.gethostname()
        self._pool = settings.worker_pool

    def collect(self) -> Iterator[Metric]:
        yield from gpu_families(own_gpus(), self._node, self._pool)


def gpu_families(gpus: Iterable[GpuReading], node: str, pool: str) -> Iterator[Metric]:
    """Yield the readings as metrics, without values that a GPU does not report.

    A card in MIG mode is no pool's own; its instances, `0:1` for the second of the first card, are.
    """
    values: dict[metrics.Reading, dict[tuple[str, ...], float]] = {}

    def add(reading: metrics.Reading, labels: tuple[str, ...], value: float | None) -> None:
        if value is not None:
            values.setdefault(reading, {})[labels] = value

    for card in gpus:
        own = "" if card.is_divided else pool
        named = [(str(card.index), own, card)]
        named += [(f"{card.index}:{one.index}", pool, one) for one in card.instances]
        for name, of, gpu in named:
            labels = (name, gpu.name, gpu.uuid, node, of)
            add(metrics.GPU_USE_RATIO, labels, gpu.use_ratio)
            add(metrics.GPU_MEMORY_BYTES, (*labels, "used"), gpu.memory_used_bytes)
            add(metrics.GPU_MEMORY_BYTES, (*labels, "total"), gpu.memory_total_bytes)
            add(metrics.GPU_ENERGY_JOULES, labels, gpu.energy_joules)
            add(metrics.GPU_POWER_WATTS, labels, gpu.power_watts)
            add(metrics.GPU_CELSIUS, labels, gpu.celsius)
    for reading, found in values.items():
        yield reading.family(found)

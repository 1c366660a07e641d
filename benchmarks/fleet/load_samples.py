"""Memory, file descriptors, threads and Redis keys of a cluster over time, and their slopes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import matplotlib as mpl
import numpy as np
import psutil
from matplotlib.figure import Figure
from redis import Redis

from benchmarks.fleet.load_cluster import LoadCluster

WARM_UP = 0.25  # of the samples: slopes are taken after it
MEASURES = ("megabytes", "descriptors", "threads")
_GROUPS_OF_KEYS = 2  # parts of a key's name that say what it is


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at all processes and at Redis."""

    seconds: float  # since the first
    processes: Mapping[str, Mapping[str, float]]  # by name: MEASURES
    redis_megabytes: float
    redis_keys: int
    redis_lasting_keys: int  # without an expiry
    open_jobs: int


@dataclass
class Sampler:
    """Samples a cluster in a thread until the block ends."""

    cluster: LoadCluster
    interval_seconds: float
    samples: list[Sample] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        while True:
            self.samples.append(take(self.cluster, time.monotonic() - began))
            if self._stop.wait(self.interval_seconds):
                self.samples.append(take(self.cluster, time.monotonic() - began))
                return

    def peaks(self) -> dict[str, float]:
        """Return the most MB that each process held."""
        return {name: max(self.of(name, "megabytes")[1]) for name in self.names()}

    def last(self) -> dict[str, float]:
        """Return the MB that each process holds at the end."""
        return {name: self.of(name, "megabytes")[1][-1] for name in self.names()}

    def names(self) -> list[str]:
        """Return the processes that were there all the time."""
        every = set.intersection(*(set(sample.processes) for sample in self.samples))
        return sorted(every)

    def of(self, name: str, measure: str) -> tuple[list[float], list[float]]:
        """Return seconds and values of one measure of one process."""
        found = [(one.seconds, one.processes[name][measure]) for one in self.samples]
        return [seconds for seconds, _ in found], [value for _, value in found]

    def slopes(self) -> dict[str, dict[str, float]]:
        """Return the slope of every measure a minute, by least squares, after the warm-up."""
        table = {
            name: {measure: slope(*self.of(name, measure)) for measure in MEASURES}
            for name in self.names()
        }
        seconds = [one.seconds for one in self.samples]
        table["redis"] = {
            "megabytes": slope(seconds, [one.redis_megabytes for one in self.samples]),
            "keys": slope(seconds, [float(one.redis_keys) for one in self.samples]),
            "lasting_keys": slope(seconds, [float(one.redis_lasting_keys) for one in self.samples]),
        }
        return table

    def to_json(self) -> list[dict[str, Any]]:
        """Return the samples as they are written."""
        return [asdict(sample) for sample in self.samples]


def take(cluster: LoadCluster, seconds: float) -> Sample:
    """Look once."""
    processes = {}
    for name, pid in cluster.processes().items():
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            with process.oneshot():
                processes[name] = {
                    "megabytes": round(process.memory_info().rss / 1e6, 2),
                    "descriptors": float(process.num_fds()),
                    "threads": float(process.num_threads()),
                }
    info: Any = cluster.redis.info()
    keys = info.get("db0", {"keys": 0, "expires": 0})
    return Sample(
        round(seconds, 1),
        processes,
        round(info["used_memory"] / 1e6, 2),
        keys["keys"],
        keys["keys"] - keys["expires"],
        len(cluster.connection.jobs.open_runs()),
    )


def slope(seconds: list[float], values: list[float]) -> float:
    """Return the slope a minute of a least-squares line through the values after the warm-up."""
    begin = int(len(seconds) * WARM_UP)
    if len(seconds) - begin < 2:
        return float("nan")
    fitted = np.polyfit(np.array(seconds[begin:]) / 60.0, np.array(values[begin:]), 1)
    return round(float(fitted[0]), 3)


def keys_by_kind(redis: Redis) -> dict[str, dict[str, float]]:
    """Return how many keys of each kind there are, and what share of them expires."""
    counts, expiring = Counter[str](), Counter[str]()
    for key in redis.scan_iter(count=1000):
        name = key.decode(errors="replace")
        kind = ":".join(name.split(":")[:_GROUPS_OF_KEYS]) if ":" in name else name[:16]
        counts[kind] += 1
        expiring[kind] += redis.ttl(key) != -1
    return {
        kind: {"keys": count, "expiring": round(expiring[kind] / count, 3)}
        for kind, count in counts.most_common(12)
    }


def draw(path: Path, sampler: Sampler) -> None:
    """Draw memory and descriptors of each process, and Redis, over the minutes."""
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9, 7), layout="constrained")
        memory, descriptors, redis = figure.subplots(3, 1, sharex=True)
        for name in sampler.names():
            seconds, values = sampler.of(name, "megabytes")
            memory.plot([one / 60 for one in seconds], values, label=name)
            seconds, values = sampler.of(name, "descriptors")
            descriptors.plot([one / 60 for one in seconds], values, label=name)
        minutes = [one.seconds / 60 for one in sampler.samples]
        redis.plot(minutes, [one.redis_megabytes for one in sampler.samples], color="black")
        memory.set_ylabel("resident MB")
        descriptors.set_ylabel("file descriptors")
        redis.set_ylabel("Redis, MB")
        redis.set_xlabel("minutes")
        for axes in (memory, descriptors, redis):
            axes.set_ylim(bottom=0)
        memory.legend(loc="lower right", frameon=False, ncols=3)
        figure.savefig(path, dpi=110)

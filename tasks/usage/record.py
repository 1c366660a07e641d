"""The record of what one run used. Pure.

It has no content: no name of a file, no text, no option; but the job's labels, by which sums are
asked for. So it stays when its job is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from tasks.artifacts import encode
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tasks.usage.figures import Figures

VERSION = 1
UNKNOWN_DEVICE = "unknown"  # of units that an earlier release computed
NO_DEVICE = ""  # of cache hits
Place = tuple[str, str]  # a stage and a device
Labels = tuple[tuple[str, str], ...]  # keys and values, sorted
Receipts = Mapping[Stage, Iterable[Mapping[str, Any]]]  # as they are in artifacts


@dataclass(frozen=True, slots=True)
class RunUsage:
    """What one run used, by stage and device."""

    run: Run
    ended_at: float  # seconds since 1970, when the last of its units ended
    figures: Mapping[Place, Figures]
    labels: Labels = ()  # of its job

    @property
    def day(self) -> str:
        """The day of its end in UTC, such as 2026-11-29: it counts on this day alone."""
        return day_of(self.ended_at)

    def to_bytes(self) -> bytes:
        """Encode it as the bytes of its artifact."""
        rows = [
            {"stage": stage, "device": device} | figures.to_json()
            for (stage, device), figures in sorted(self.figures.items())
        ]
        labels = {"labels": dict(self.labels)} if self.labels else {}
        return encode({"version": VERSION, "ended_at": self.ended_at, "use": rows, **labels})

    @classmethod
    def of_artifact(cls, run: Run, data: Mapping[str, Any]) -> RunUsage:
        """Read the JSON that `to_bytes` writes; raises ValueError, TypeError or LookupError."""
        figures = {
            (str(row["stage"]), str(row["device"])): Figures.from_json(row) for row in data["use"]
        }
        return cls(run, float(data["ended_at"]), figures, labels_of(data.get("labels", {})))


def labels_of(labels: Mapping[str, Any]) -> Labels:
    """Return a job's labels in the form in which runs are grouped by them."""
    return tuple(sorted((str(key), str(value)) for key, value in labels.items()))


def day_of(time: float) -> str:
    """Return the day of a time in UTC; `time` is in seconds since 1970."""
    return datetime.fromtimestamp(time, UTC).date().isoformat()


def run_usage(
    run: Run,
    receipts: Receipts,
    ended_at: float,
    *,
    cached_until: float | None = None,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> RunUsage:
    """Make a run's record from the receipts of all its units that have an artifact.

    A receipt that names a unit of this run is its own; any other is a cache hit. `ended_at` is
    the time of a run without any of its own. `cached_until` says when the run ended, if that was
    before its record is made: what others have computed since is no cache hit.
    """
    found: dict[Place, Figures] = {}
    ends: list[float] = []
    for stage, units in receipts.items():
        for receipt in units:
            is_own = str((receipt.get("detail") or {}).get("unit", "")).startswith(f"{run.name}/")
            finished_at = float(receipt.get("finished_at", 0.0))
            if is_own:
                ends.append(finished_at)
                device, figures = _own(receipt)
            elif cached_until is None or finished_at <= cached_until:
                audio = float(receipt.get("audio_seconds", 0.0))
                device, figures = NO_DEVICE, Figures(cached=1, cached_audio_seconds=audio)
            else:
                continue
            place = (stage.value, device)
            found[place] = found.get(place, Figures()) + figures
    ended = round(max(ends, default=0.0) or ended_at, 3)
    return RunUsage(run, ended, found, labels_of(labels))


def computed(receipts: Receipts) -> dict[Place, Figures]:
    """Return what units took to compute, also those that another run or job has computed."""
    found: dict[Place, Figures] = {}
    for stage, units in receipts.items():
        for receipt in units:
            device, figures = _own(receipt)
            place = (stage.value, device)
            found[place] = found.get(place, Figures()) + figures
    return found


def _own(receipt: Mapping[str, Any]) -> tuple[str, Figures]:
    """Return the device and the figures of a computed unit.

    Receipts of earlier releases have no `use`, only how long the unit took.
    """
    seconds = float(receipt.get("seconds", 0.0))
    use = receipt.get("use") or {"device": UNKNOWN_DEVICE, "device_seconds": seconds}
    figures = Figures(
        units=1,
        audio_seconds=float(receipt.get("audio_seconds", 0.0)),
        device_seconds=float(use["device_seconds"]),
        joules=use.get("joules"),
        retries=int(use.get("retries", 0)),
        stored_bytes=int(use.get("stored_bytes", 0)),
    )
    return str(use["device"]), figures

"""Records of runs, to be changed where a test cares."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.runs.units import Run
from tasks.usage.figures import Figures
from tasks.usage.record import Labels, Place, RunUsage

DAY = 24 * 3600.0
FIGURES: Mapping[Place, Figures] = {
    ("prepare", "cpu"): Figures(
        units=1, audio_seconds=60.0, device_seconds=2.5, stored_bytes=1_000_000
    ),
    ("transcribe", "NVIDIA H200"): Figures(
        units=4, audio_seconds=40.0, device_seconds=10.0, joules=3000.0, retries=1,
        stored_bytes=500,
    ),
    ("transcribe", ""): Figures(cached=2, cached_audio_seconds=20.0),
}  # fmt: skip


def a_record(
    job: str = "job-1",
    *,
    tenant: str = "acme",
    run: int = 1,
    ended_at: float = 100 * DAY,
    figures: Mapping[Place, Figures] = FIGURES,
    labels: Labels = (),
) -> RunUsage:
    """A run on a card, a third of which was found; it ended on 1970-04-11."""
    return RunUsage(Run(tenant, job, run), ended_at, figures, labels)

"""How long each stage computed: the `timings` of a transcript, summed from receipts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.runs.stages import Unit


def sum_timings(receipts: Sequence[Mapping[str, Any]], unit: Unit) -> dict[str, Any]:
    """One stage's units together.

    `cached` counts those that an earlier job or run computed: their seconds were
    spent then and are not summed here.
    """
    run = f"{unit.tenant}/{unit.job}/{unit.run}/"
    ours = [receipt for receipt in receipts if receipt["detail"]["unit"].startswith(run)]
    seconds = sum(receipt["seconds"] for receipt in ours)
    audio = sum(receipt["audio_seconds"] for receipt in ours)
    return {
        "units": len(receipts),
        "cached": len(receipts) - len(ours),
        "seconds": round(seconds, 3),
        "audio_seconds": round(audio, 3),
        "real_time_factor": round(seconds / audio, 6) if audio else None,
    }

"""Seconds from a GPU worker's start to the first text of 30 s of real speech, step by step.

    python -m benchmarks.speed.start_up [--model base] [--rounds 5] [--other CHECKOUT] [--json FILE]

The worker has the command and the environment that a cluster gives it, and the unit waits in its
queue when the process begins. `CHECKOUT` is a directory with another version of the product, such
as one made by `git worktree add`; the versions take turns. `prefetched` is this version with the
model in `prefetch_models`, and its unit comes once the model is there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.accuracy.models import whisper_files
from benchmarks.accuracy.recordings import pyannote_sample
from benchmarks.machine import describe_machine, probe_seconds
from benchmarks.speed.rounds import order

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
# Each but the last is over so many seconds after the start of the process.
STEPS = {
    "imported": "interpreter and imports",
    "tested": "self test",
    "ready": "ready for messages",
    "model": "model loaded",
    "text": "text committed",
    "first_unit": "the first unit took",
}
# The processor seconds until then, which others on the machine change less.
USED = {f"{step}_used": f"… processor, {STEPS[step]}" for step in ("tested", "model", "text")}


@dataclass(frozen=True, slots=True)
class Version:
    """A checkout, and settings of its worker."""

    name: str
    checkout: Path
    settings: dict[str, Any] = field(default_factory=dict)


def start_once(version: Version, model: str, compute_type: str) -> dict[str, float]:
    """Seconds by step, and `peak_memory_mb`. Raises CalledProcessError."""
    given = {
        "audio": str(pyannote_sample().path),
        "model": model,
        "compute_type": compute_type,
        "settings": version.settings,
        "idles_first": "prefetch_models" in version.settings,
    }
    path = [version.checkout, version.checkout / "clients" / "python", HERE / "marks"]
    ended = subprocess.run(
        [sys.executable, "-P", str(HERE / "one_start.py"), json.dumps(given)],
        cwd=version.checkout,  # celery puts it first in the path
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "PYTHONDONTWRITEBYTECODE": "",  # else every start would compile every module
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print the median of each step, and write the JSON with all samples."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", default="base")
    parser.add_argument("--compute-type", default="default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--other", type=Path, default=None)
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    model = whisper_files(given.model, None).job  # fetched, if it was not
    versions = [Version("own", ROOT), Version("prefetched", ROOT, {"prefetch_models": model})]
    if given.other is not None:
        versions.insert(0, Version("other", given.other.resolve()))
    samples: list[dict[str, Any]] = []
    for number in range(given.rounds):
        for version in order(versions, number):
            found = start_once(version, model, given.compute_type)
            probe = probe_seconds()
            samples.append({"round": number, "version": version.name, "probe": probe, **found})
            print(json.dumps(samples[-1]), flush=True)
    medians = {
        version.name: {
            step: round(
                statistics.median(s[step] for s in samples if s["version"] == version.name), 2
            )
            for step in (*STEPS, *USED, "peak_memory_mb")
        }
        for version in versions
    }
    print(f"{'':<32}" + "".join(f"{version.name:>12}" for version in versions))
    for step, title in (STEPS | USED | {"peak_memory_mb": "peak memory, MB"}).items():
        print(f"{title:<32}" + "".join(f"{found[step]:>12}" for found in medians.values()))
    if given.json is not None:
        report = {
            "machine": describe_machine(),
            "model": given.model,
            "compute_type": given.compute_type,
            "medians": medians,
            "samples": samples,
        }
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""How long `store verify` takes for a million jobs that have ended, and how much memory.

    python -m benchmarks.cluster.store_verify [--jobs 1000000]

The store is made up: it lists the names that such jobs have, and answers at once. So the time is
the program's own; a real store adds that of a request for each thousand names.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.cluster.million_jobs import APART, FIRST, TENANT, manifest_of, run_of
from benchmarks.machine import describe_machine, print_machine
from orchestrator.cluster.ended_jobs import ended_key
from orchestrator.cluster.job import Status
from orchestrator.soundness.walking import Walk
from tasks.artifacts import ArtifactMissing, encode
from tasks.runs import keys

RESULTS = Path(__file__).parents[1] / "results" / "store_verify.json"
OWN = ("manifest.json", "plan.json", "runs/1/result.json", "runs/1/timings.json")
PAGE = 1000  # names that a real store lists in one request


class Listed:
    """The names of jobs that have ended, each folder in the order of its keys."""

    url = "made://up"

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self.listed = self.asked = 0

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the keys as a store does."""
        for key in self._all(prefix, after):
            if key > after and key.startswith(prefix):
                self.listed += 1
                yield key

    def first(self, prefix: str, limit: int, after: str = "") -> Sequence[str]:
        """Return the first of them."""
        return list(islice(self.list(prefix, after), limit))

    def _all(self, prefix: str, after: str) -> Iterator[str]:
        folder = keys.jobs(TENANT)
        ended = ended_key(TENANT, (0.0, ""), Status.COMPLETED).rsplit("/", 2)[0] + "/"
        claims = keys.claims(TENANT)
        is_below = prefix.startswith(folder) or folder.startswith(prefix)
        if is_below and after <= folder + "g":  # ids are hexadecimal
            for number in range(self._number(after, folder), self._jobs):
                job = run_of(number).job
                yield from (f"{folder}{job}/{name}" for name in OWN)
        if prefix.startswith(claims):
            for number in range(self._jobs):
                yield f"{claims}{number:064x}/{run_of(number).job}"
        if prefix.startswith(ended):
            newest = self._jobs - 1
            if after:  # such as the last time of a page
                newest = min(newest, self._at(after, ended))
            for number in range(newest, -1, -1):
                time_and_job = (FIRST + APART * number, run_of(number).job)
                yield ended_key(TENANT, time_and_job, Status.COMPLETED)

    def _number(self, after: str, folder: str) -> int:
        job = after.removeprefix(folder).partition("/")[0].rstrip("0")[:23]
        if not after.startswith(folder) or len(job) < 11:
            return 0
        created = int(job[:11], 16) / 1000
        return max(0, int((created - FIRST) / APART) - 1)

    def _at(self, after: str, folder: str) -> int:
        left = int(after.removeprefix(folder).partition("-")[0].replace("/", ""), 16)
        created = (16**11 - 1 - left) / 1000
        return int((created - FIRST) / APART) + 1

    def size(self, key: str) -> int | None:
        """Say that the key is not there: what is asked for by itself is a rarity."""
        self.asked += 1
        return None

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return the manifest of a job."""
        self.asked += 1
        if not key.endswith("/manifest.json"):
            raise ArtifactMissing(key)
        number = int(key.split("/")[3][11:])
        return encode(manifest_of(number).model_dump(mode="json"))


def main() -> None:
    """Walk once, print the figures, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    given = parser.parse_args()
    print_machine()
    store: Any = Listed(given.jobs)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.monotonic()
    walk = Walk(store)
    found = sum(1 for _ in walk.findings(with_contents=False))
    figures = {
        "jobs": walk.jobs,
        "unsound": found,
        "seconds": round(time.monotonic() - began, 1),
        "names_listed": store.listed,
        "requests_at_1000_names": -(-store.listed // PAGE),
        "asked_one_by_one": store.asked,
        "memory_before_mb": round(before),
        "memory_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(figures, indent=2))
    RESULTS.write_text(json.dumps({"machine": describe_machine(), **figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()

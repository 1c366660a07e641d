"""What the reconciler's sweeps cost after very many deletions.

    python -m benchmarks.cluster.bulk_deletion [--jobs 10000] [--milliseconds 15]

Real Redis, and a store on the disk that takes that many milliseconds longer for each request. Every
job is deleted but for its tombstone and its notes, as `delete` leaves them. The first sweep sees
them all, the second has nothing to do, the third comes when they are old enough to be removed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import structlog
from pydantic import SecretStr

from benchmarks.fleet.slow_store import SlowStore, slowed, write
from benchmarks.machine import describe_machine, print_machine
from config.settings import Settings
from orchestrator.cluster.connection import open_cluster
from orchestrator.jobs.deletion import Tombstone
from orchestrator.jobs.tombstones import Tombstones
from orchestrator.local.redis_server import RedisServer
from tasks.runs import keys

RESULTS = Path(__file__).parents[1] / "results" / "bulk_deletion.json"


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--milliseconds", type=float, default=15.0)
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))  # warnings
    print_machine()
    now = time.time()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        root = home / "store"
        root.mkdir()
        for number in range(given.jobs):
            job, audio = f"{number:023x}", f"{number:064x}"
            stone = Tombstone("default", job, now, 1, {audio: (), f"{number + 1:064d}": ()})
            write(root, stone.key, stone.to_bytes())
            write(root, keys.job("default", job, "uses/") + audio, b"")
        server = RedisServer(home)
        server.start()
        try:
            settings = Settings(redis_url=SecretStr(server.url), store_url=root.as_uri())
            store = SlowStore(root, given.milliseconds / 1000)
            cluster = slowed(open_cluster(settings), store)
            sweeper = Tombstones(cluster, lambda: now)
            sweeps = []
            for later in (0.0, 30.0, 60.0):
                now += later
                asked, began = store.requests.total(), time.monotonic()
                sweeper.sweep()
                seconds = round(time.monotonic() - began, 1)
                sweeps.append({"seconds": seconds, "requests": store.requests.total() - asked})
                print(sweeps[-1], flush=True)
            left = sum(1 for _ in store.list(""))
        finally:
            server.stop()
    print(f"objects left: {left}")
    written = {"machine": describe_machine(), "jobs": given.jobs}
    written |= {"milliseconds": given.milliseconds, "sweeps": sweeps, "left": left}
    given.json.write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()

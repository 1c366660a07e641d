"""`load`: show the queues, the backlog, and the number of workers that each pool should have."""

from __future__ import annotations

import time

from rich.console import Console
from rich.table import Column, Table

from orchestrator.cli.context import AsJson, opened_cluster, print_json
from orchestrator.scaling.published import PublishedLoad, fresh_load, load_to_json


def load(as_json: AsJson = False) -> None:
    """Show the cluster's load: queues, backlog, and the desired number of workers."""
    found = fresh_load(opened_cluster().redis, time.time())
    if as_json:
        print_json(load_to_json(found))
        return
    console = Console(highlight=False)
    console.print(f"{found.open_runs} open jobs, {time.time() - found.measured_at:.0f} s ago")
    console.print(_pools(found))
    console.print(_queues(found))


def _pools(found: PublishedLoad) -> Table:
    table = _table("pool", "stage", "backlog s", "units", "in flight", "speed ×", "workers")
    for name, pool in found.pools.items():
        workers = f"{pool.desired} of {pool.minimum}–{pool.maximum}"
        seconds, flying = f"{pool.backlog_seconds:.0f}", str(pool.in_flight)
        table.add_row(name, "", seconds, "", flying, "", workers)
        for stage, one in pool.stages.items():
            backlog, speed = f"{one.backlog_seconds:.0f}", f"{one.speed:.1f}"
            table.add_row("", stage, backlog, str(one.units), str(one.in_flight), speed, "")
    return table


def _queues(found: PublishedLoad) -> Table:
    table = _table("queue", "messages", "oldest s")
    for name, queue in found.queues.items():
        if queue.depth:
            age = "" if queue.oldest_seconds is None else f"{queue.oldest_seconds:.0f}"
            table.add_row(name, str(queue.depth), age)
    return table


def _table(*names: str) -> Table:
    texts = ("pool", "stage", "queue")
    columns = [Column(it, justify="left" if it in texts else "right") for it in names]
    return Table(*columns, box=None)

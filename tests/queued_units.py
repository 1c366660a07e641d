"""Which units the messages in Redis ask for."""

from __future__ import annotations

from redis import Redis

from orchestrator.cluster.queues import units_in
from tasks.fair_queue import lists
from tasks.runs.stages import queues
from tasks.runs.units import Unit


def queued_units(redis: Redis) -> set[Unit]:
    """Every unit that waits, of all queues and tenants."""
    return {unit for key in lists(redis, queues()) for unit in units_in(redis, key)}

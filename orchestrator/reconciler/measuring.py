"""Publish the load at each pass, after the rescue of lost units, which no fault here delays."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError
from orchestrator.cluster.connection import Cluster
from orchestrator.open_runs.survey import RunSurvey
from orchestrator.scaling.scaler import Scaler

log = structlog.get_logger(__name__)


class Measuring:
    """Measures the load from Redis and the broker, which the loop cannot work without anyway.

    It lists nothing in the store, so it runs in the loop and needs no thread of its own.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._scaler = Scaler(cluster)
        self.is_crowded = False  # as of the last pass: of a pool, more is due than it can do
        self._published_units = 0  # of those that were issued again by this process
        self._waits = False  # said once, not at every pass of an outage

    def measure(self, surveys: Sequence[RunSurvey], reissued_units: int) -> None:
        """Publish the load. Raises nothing: what cannot be measured is logged.

        `reissued_units`: all that this process has issued again so far.
        """
        try:
            load = self._scaler.publish(surveys, reissued_units - self._published_units)
            self._published_units = reissued_units
            self.is_crowded = any(pool.is_crowded for pool in load.pools.values())
            self._waits = False
        except (RedisError, ScriptoriumError) as error:
            if not self._waits:
                log.warning("load_not_measured", reason=str(error))
            self._waits = True
        except Exception:
            log.exception("load_not_measured")

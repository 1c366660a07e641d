"""The load is published at each pass, after lost work was issued: its faults delay nothing."""

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
    """It asks the services that the loop itself needs, Redis and the broker, within their limits.

    So it needs no thread of its own, unlike what lists the store.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._scaler = Scaler(cluster)
        self._waits = False  # said once, not at every pass of an outage

    def measure(self, surveys: Sequence[RunSurvey], reissued_units: int) -> None:
        """Publish the load. Raises nothing: what cannot be measured is logged."""
        try:
            self._scaler.publish(surveys, reissued_units)
            self._waits = False
        except (RedisError, ScriptoriumError) as error:
            if not self._waits:
                log.warning("load_not_measured", reason=str(error))
            self._waits = True
        except Exception:
            log.exception("load_not_measured")

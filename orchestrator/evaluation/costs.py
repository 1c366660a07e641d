"""What the stages with models took, of one run."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.cluster.connection import Cluster
from tasks.runs.stages import Pool, Stage
from tasks.runs.units import Run
from tasks.usage.evidence import Evidence
from tasks.usage.figures import Figures
from tasks.usage.record import Place, computed

_WITH_MODELS = frozenset(stage.value for stage in Stage if stage.pool is Pool.GPU)


def costs_of(cluster: Cluster, run: Run) -> Mapping[Place, Figures]:
    """Return what the run's units took, also those that another run or job has computed.

    Without the stages of CPU workers: they are alike for every model, and each of their processes
    loads its libraries in its first unit. Raises what the store and the records raise.
    """
    figures = computed(Evidence(cluster.store, cluster.records).receipts(run))
    return {place: each for place, each in figures.items() if place[0] in _WITH_MODELS}

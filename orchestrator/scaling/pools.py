"""The pools of workers: which stages each does, and how large it may be. Values only.

`SCRIPTORIUM_POOLS` changes the two default pools, or adds others:
`{"gpu": {"maximum": 4}, "mig": {"stages": ["align", "embed_speakers"], "maximum": 2}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from gpu_worker.errors import InvalidOption
from tasks.runs.option_values import Record
from tasks.runs.stages import Pool, Stage


class WorkerPool(Record):
    """A set of workers that are alike."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    kind: Pool = Pool.GPU  # cpu: prefork processes; gpu: one process that holds the models
    stages: frozenset[Stage] = frozenset()  # empty: all stages of its kind
    minimum: int = Field(default=0, ge=0)
    maximum: int = Field(default=8, ge=0)
    concurrency: int = Field(default=1, ge=1)  # units that one worker does at the same time
    share: float = Field(default=1.0, gt=0, le=1)  # of its stages' backlog, with other pools
    target_drain_seconds: float = Field(default=60.0, gt=0)  # time to work off a backlog
    scale_down_seconds: float = Field(default=30.0, ge=0)  # after so long with less work
    steady_seconds: float = Field(default=600.0, ge=0)  # keeps what is busy for half of it

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError("minimum must not be above maximum")
        wrong = sorted(stage.value for stage in self.stages if stage.pool is not self.kind)
        if wrong:
            raise ValueError(f"{', '.join(wrong)} is not done by {self.kind.value} workers")
        return self

    @property
    def work(self) -> frozenset[Stage]:
        """The stages that the pool does."""
        return self.stages or frozenset(stage for stage in Stage if stage.pool is self.kind)


DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "cpu": {"kind": "cpu", "minimum": 1, "maximum": 4, "concurrency": 2},
    "gpu": {"kind": "gpu", "concurrency": 6},  # their windows share batches
}


def worker_pools(given: Mapping[str, Mapping[str, Any]]) -> dict[str, WorkerPool]:
    """Return every pool by name. Raises InvalidOption."""
    pools = {}
    for name in dict.fromkeys((*DEFAULTS, *given)):
        fields = {**DEFAULTS.get(name, {}), **given.get(name, {}), "name": name}
        try:
            pools[name] = WorkerPool(**fields)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, (name, *first["loc"])))
            raise InvalidOption(
                f"SCRIPTORIUM_POOLS is not valid: {where}: {first['msg']}.",
                hint="See docs/scaling.md.",
            ) from error
    return pools

"""The names of a run and of its units. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.runs.stages import Stage

TIME_DIGITS = 11  # of a job's id: its time of creation in milliseconds, in hex
_ID_LENGTH = 23
_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Run:
    """One pass of a job through its stages; a retry starts the next one."""

    tenant: str
    job: str
    number: int  # 1, and one more for each retry

    @property
    def name(self) -> str:
        """`tenant/job/number`: part of keys in the store and in Redis."""
        return f"{self.tenant}/{self.job}/{self.number}"

    @classmethod
    def parse(cls, name: str) -> Run:
        """Read a `name`. Raises ValueError."""
        tenant, job, number = name.split("/")
        run = cls(tenant, job, int(number))
        if not (tenant and job and run.name == name):
            raise ValueError(f"{name!r} is not the name of a run")
        return run

    def unit(self, stage: Stage, index: int = 0) -> Unit:
        """Return a unit of the run; `index` is the chunk's or shard's, 0 for a stage of the job."""
        return Unit(self, stage, index)


@dataclass(frozen=True, slots=True)
class Unit:
    """A stage of one run, for one chunk or shard or the whole job: what one message asks for."""

    run: Run
    stage: Stage
    index: int = 0  # of the chunk or shard; 0 for stages of the whole job

    @property
    def name(self) -> str:
        """`tenant/job/number/stage/index`, for logs and Redis."""
        return f"{self.run.name}/{self.key_in_run}"

    @property
    def key_in_run(self) -> str:
        """`transcribe/3`: the unit's Redis hash field and file name within its run."""
        return f"{self.stage.value}/{self.index}"


def created_at(job: str) -> float | None:
    """Return when a job was created, by its id, in seconds since 1970; None: it does not say."""
    if len(job) != _ID_LENGTH or not _DIGITS.issuperset(job):
        return None
    return int(job[:TIME_DIGITS], 16) / 1000

"""How much this process's counts have grown in a block."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from prometheus_client import REGISTRY

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Counted:
    """Use as a context manager; ask it afterwards."""

    def __enter__(self) -> Self:
        self._before = _samples()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._after = _samples()

    def __call__(self, name: str, **labels: str) -> float:
        """Over all samples of that name with these labels."""
        return sum(
            value - self._before.get(key, 0.0)
            for key, value in self._after.items()
            if key[0] == name and labels.items() <= dict(key[1]).items()
        )


def _samples() -> Samples:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in REGISTRY.collect()
        for one in family.samples
    }

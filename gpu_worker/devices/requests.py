"""What one thread wants of a model, and what has become of it (gpu_worker/devices/batcher.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpu_worker.devices.turns import Turns


@dataclass(eq=False, slots=True)
class Request:
    """The items of one thread, and what has become of them."""

    key: Any  # only items of equal keys share a batch
    items: Sequence[Any]
    largest: int
    check: Callable[[], None]
    turns: Turns
    is_urgent: bool
    taken: int = 0  # items that are in a batch, or were
    results: dict[int, Any] = field(default_factory=dict)
    error: BaseException | None = None

    @property
    def is_over(self) -> bool:
        return self.error is not None or len(self.results) == len(self.items)

    @property
    def left(self) -> int:
        return 0 if self.error is not None else len(self.items) - self.taken


Place = tuple[Request, int]  # one item: its request and its index there

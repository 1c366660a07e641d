"""What one thread wants of a model, and what has become of it (gpu_worker/devices/batcher.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpu_worker.devices.turns import Turns


@dataclass(frozen=True, slots=True)
class Standing:
    """Whose items they are, and whether they go before others; owners take turns in batches."""

    owner: str = ""
    is_urgent: bool = False


ANY_STANDING = Standing()


@dataclass(eq=False, slots=True)
class Request:
    """The items of one thread, and what has become of them."""

    key: Any  # only items of equal keys share a batch
    items: Sequence[Any]
    largest: int
    check: Callable[[], None]
    turns: Turns
    standing: Standing
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


def in_turn(
    requests: Iterable[Request], last_batch: Callable[[str], int] = lambda owner: 0
) -> list[Request]:
    """Return the requests, oldest first, in the order in which batches take their items. Pure.

    The first request of each owner goes before the second of any, and so on; of them, the one
    whose owner's `last_batch` is the lowest is first: a request of many batches takes them in turn
    with the other owners.
    """
    before: Counter[Standing] = Counter()
    order: list[tuple[bool, int, int, Request]] = []
    for request in requests:
        standing = request.standing
        owner_turn = last_batch(standing.owner)
        order.append((not standing.is_urgent, before[standing], owner_turn, request))
        before[standing] += 1
    return [request for *_, request in sorted(order, key=lambda it: it[:3])]

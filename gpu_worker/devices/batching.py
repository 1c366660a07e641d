"""Run many items through a model in batches that fit its memory.

When a batch does not fit, its size is halved for the rest of the call. The items
may be of any kind; engines, aligners and diarizers give their windows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from gpu_worker.errors import OutOfMemory

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_batches(
    items: Sequence[Item],
    batch_size: int,
    run: Callable[[Sequence[Item]], Sequence[Result]],
    *,
    before_batch: Callable[[], None] = lambda: None,
) -> list[Result]:
    """Run all items in batches of at most `batch_size`; return one result for each, in order.

    `run` raises MemoryError when a batch does not fit. `before_batch` may raise to stop
    between two batches. Raises OutOfMemory when a single item does not fit.
    """
    results: list[Result] = []
    size = batch_size
    while len(results) < len(items):
        before_batch()
        batch = items[len(results) : len(results) + size]
        try:
            results.extend(run(batch))
        except MemoryError as error:
            if len(batch) == 1:
                raise OutOfMemory() from error
            size = max(1, len(batch) // 2)
    return results

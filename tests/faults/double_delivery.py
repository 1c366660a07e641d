"""Every message to a stage's queue is put there twice, as if Redis had delivered it again."""

from __future__ import annotations

from typing import Any

from tasks.fair_channel import FairChannel
from tasks.runs.stages import queues

_put_once = FairChannel._put


def _put_twice(self: Any, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
    _put_once(self, queue, message, **kwargs)
    if queue in queues():
        _put_once(self, queue, message, **kwargs)


FairChannel._put = _put_twice  # type: ignore[method-assign]

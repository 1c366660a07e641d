"""Waiting for what another thread or process does, without guessing how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable

# Only a failure takes all of it: on a busy machine a program of ours needs 20 s to begin.
PATIENCE_SECONDS = 60.0


def eventually(is_so: Callable[[], bool], within: float = PATIENCE_SECONDS) -> bool:
    """Whether it came to be so within the seconds; asked again and again until then."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.01)
    return is_so()

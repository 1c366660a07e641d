"""Whose items a device runs just now: threads that share it may need to know, for a deadline."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Turns(Protocol):
    """What a thread does around its stay in `run`; deadlines need to know whose turn it is."""

    def waiting(self) -> AbstractContextManager[None]:
        """Surround a time in which only items of other threads are run."""

    def running(self, model: object) -> AbstractContextManager[None]:
        """Surround a time in which a batch of `model` with items of this thread is run."""


class NoTurns:
    """Turns of threads without deadlines."""

    def waiting(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()

    def running(self, model: object) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()


NO_TURNS = NoTurns()
_ON_CPU = threading.Lock()


def device_of_batches(device: str) -> threading.Lock | None:
    """Return what the batchers of aligners and diarizers on a device share; None: nothing.

    Memory that is not there is not refused on a CPU but ends the process, so there must be room for
    one batch alone, of whichever of these models. A GPU refuses, and batches get smaller.
    """
    return _ON_CPU if device == "cpu" else None

"""Whose items a device runs just now: threads that share it may need to know, for a deadline."""

from __future__ import annotations

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

"""Ctrl-C on the command line, also where Python can only report it."""

from __future__ import annotations

import signal

import pytest

from orchestrator.cli.context import check_interrupted, interruptible


class Finalized:
    """An interrupt in its finalizer is reported and lost."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_loses_is_not_forgotten() -> None:
    with interruptible():
        check_interrupted()
        Finalized()
        with pytest.raises(KeyboardInterrupt):
            check_interrupted()
    check_interrupted()


def test_an_interrupt_is_raised_and_the_former_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before

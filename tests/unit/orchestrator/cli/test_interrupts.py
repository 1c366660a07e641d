"""Ctrl-C on the command line, also where Python can only report it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from orchestrator.cli.context import check_interrupted, interruptible, stop_event

INTERRUPTED_IMPORT = """
import signal
import sys


class Interrupter:
    def find_spec(self, name, *_):
        if name == "{module}":
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                pass  # as some libraries do


sys.argv[1:] = ["--version"]
sys.meta_path.insert(0, Interrupter())
{start}
"""
STARTS = {
    "the installed script": "from orchestrator.cli import main; main()",
    "python -m": "import runpy; runpy.run_module('orchestrator.cli', run_name='__main__')",
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("module", ["orchestrator.cli.commands", "pydantic"])
def test_an_interrupt_while_modules_are_imported_ends_the_program_without_a_traceback(
    start: str, module: str
) -> None:
    code = INTERRUPTED_IMPORT.format(module=module, start=start)
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "Interrupted.\n")


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


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_to_stop_and_a_second_one_ends_it_at_once(
    first: signal.Signals, second: signal.Signals
) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        stop = stop_event()
        assert not stop.is_set()
        signal.raise_signal(first)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(second)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

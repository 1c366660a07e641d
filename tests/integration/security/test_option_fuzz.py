"""Hostile options end no worker: a short, seeded part of `make fuzz-options`."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tasks.runs.options import JobOptions
from tests import one_worker
from tests.fuzz_options import DOOR, ENDS, fuzz

SETS = 60


def test_no_options_end_a_worker_or_hold_it() -> None:
    found = fuzz("pico", SETS, seed=3)
    assert (found["deaths"], found["hangs"], found["other_faults"]) == (0, 0, {})
    ends = [found[end] for end in ENDS.values()]
    assert min(found[DOOR], *ends) > 0 and sum(ends) == SETS


def test_a_worker_that_dies_or_hangs_is_counted_and_the_other_jobs_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = JobOptions(model="pico").model_dump(mode="json")
    with one_worker.one_worker(tmp_path) as worker:
        worker.send(options)
        os.kill(worker.pid, signal.SIGKILL)
        worker.send(options)
        assert [worker.answer().code for _ in range(2)] == ["", ""]
        assert worker.deaths == 1
        with monkeypatch.context() as impatient:
            impatient.setattr(one_worker, "PATIENCE_SECONDS", 0.5)
            os.kill(worker.pid, signal.SIGSTOP)
            worker.send(options)
            assert worker.answer().code == one_worker.HANG
        worker.send(options)
        assert worker.answer().code == "" and worker.deaths == 1

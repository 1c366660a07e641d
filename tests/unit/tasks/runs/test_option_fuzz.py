"""Hostile options end no worker: a short, seeded part of `make fuzz-options`."""

from __future__ import annotations

import pytest

from tests.fuzz_options import fuzz

pytestmark = pytest.mark.slow


def test_no_options_end_a_process_that_decodes_or_hold_it() -> None:
    found = fuzz("pico", sets=30, seed=3)
    assert not found.keys() & {"death", "hang"}
    assert min(found["decoded"], found["refused at the door"], found["refused by the engine"]) > 0

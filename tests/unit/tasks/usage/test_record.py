"""The record of a run: its own receipts count, those of others are cache hits."""

from __future__ import annotations

import json
from typing import Any

from tasks.runs.stages import Stage
from tasks.usage.figures import Figures, Use
from tasks.usage.record import RunUsage, computed, run_usage
from tests.inputs.examples import a_run, a_unit

DAY = 24 * 3600.0
RUN = a_run(2)


def a_receipt(run: int = 2, job: str = "job-1", **changes: Any) -> dict[str, Any]:
    """Of a unit that a card computed in three seconds."""
    use = Use("NVIDIA H200", 3.0, joules=900.0, stored_bytes=100)
    receipt = {
        "seconds": 5.0, "audio_seconds": 30.0, "finished_at": DAY,
        "detail": {"unit": a_unit(job=job, run=run).name}, "use": use.to_json(),
    }  # fmt: skip
    return receipt | changes


def test_what_the_run_computed_counts_and_what_others_did_is_a_cache_hit() -> None:
    receipts = [a_receipt(), a_receipt(run=1), a_receipt(job="other"), a_receipt()]
    found = run_usage(RUN, {Stage.TRANSCRIBE: receipts}, 0.0)
    assert found.figures == {
        ("transcribe", "NVIDIA H200"): Figures(2, 0, 60.0, 0.0, 6.0, 1800.0, 0, 200),
        ("transcribe", ""): Figures(cached=2, cached_audio_seconds=60.0),
    }


def test_what_units_took_does_not_depend_on_whose_they_are() -> None:
    receipts = [a_receipt(), a_receipt(run=1), a_receipt(job="other")]
    found = computed({Stage.TRANSCRIBE: receipts, Stage.ALIGN: [a_receipt(run=1)]})
    assert found == {
        ("transcribe", "NVIDIA H200"): Figures(3, 0, 90.0, 0.0, 9.0, 2700.0, 0, 300),
        ("align", "NVIDIA H200"): Figures(1, 0, 30.0, 0.0, 3.0, 900.0, 0, 100),
    }


def test_run_12_is_not_run_1() -> None:
    found = run_usage(a_run(1), {Stage.TRANSCRIBE: [a_receipt(run=12)]}, 0.0)
    assert found.figures == {("transcribe", ""): Figures(cached=1, cached_audio_seconds=30.0)}


def test_it_counts_on_the_day_on_which_its_last_unit_ended() -> None:
    receipts = [a_receipt(finished_at=5 * DAY - 1), a_receipt(finished_at=DAY)]
    assert run_usage(RUN, {Stage.TRANSCRIBE: receipts}, 9 * DAY).day == "1970-01-05"


def test_a_run_that_found_everything_counts_on_the_day_that_is_given() -> None:
    receipts = [a_receipt(run=1, finished_at=5 * DAY)]
    found = run_usage(RUN, {Stage.TRANSCRIBE: receipts}, 9 * DAY)
    assert (found.day, found.ended_at) == ("1970-01-10", 9 * DAY)


def test_what_others_computed_after_its_end_is_no_cache_hit() -> None:
    receipts = [a_receipt(run=3, finished_at=5.0), a_receipt(run=3, finished_at=7.0), a_receipt()]
    found = run_usage(RUN, {Stage.TRANSCRIBE: receipts}, 6.0, cached_until=6.0)
    assert {place: it.units + it.cached for place, it in found.figures.items()} == {
        ("transcribe", ""): 1, ("transcribe", "NVIDIA H200"): 1,
    }  # fmt: skip


def test_a_receipt_of_an_earlier_release_has_its_seconds_and_no_device() -> None:
    receipt = a_receipt()
    del receipt["use"]
    found = run_usage(RUN, {Stage.ALIGN: [receipt, {}]}, 1.0)
    assert found.figures["align", "unknown"].device_seconds == 5.0
    assert found.figures["align", ""].cached == 1


def test_it_is_read_as_it_was_written_and_has_nothing_of_the_job_s_content() -> None:
    receipts = {Stage.PREPARE: [a_receipt()], Stage.TRANSCRIBE: [a_receipt(), a_receipt(run=1)]}
    found = run_usage(RUN, receipts, 1.0)
    data = json.loads(found.to_bytes())
    assert RunUsage.of_artifact(RUN, data | {"later": 1}) == found
    assert data.keys() == {"version", "ended_at", "use"}
    names = {name for row in data["use"] for name in row}
    assert names <= {"stage", "device", *Figures.__slots__}

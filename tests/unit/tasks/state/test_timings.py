"""How long a stage took, of what this run computed."""

from __future__ import annotations

from tasks.runs.stages import Stage
from tasks.state.receipts import sum_timings
from tests.inputs.examples import a_run


def a_receipt(run: int, seconds: float, audio: float) -> dict[str, object]:
    return {
        "seconds": seconds,
        "audio_seconds": audio,
        "detail": {"unit": a_run(run).unit(Stage.TRANSCRIBE).name},
    }


def test_only_what_this_run_computed_is_summed() -> None:
    receipts = [a_receipt(1, 9.0, 90.0), a_receipt(2, 1.0, 20.0), a_receipt(2, 2.0, 40.0)]
    assert sum_timings(receipts, a_run(2)) == {
        "units": 3,
        "cached": 1,
        "seconds": 3.0,
        "audio_seconds": 60.0,
        "real_time_factor": 0.05,
    }


def test_run_1_is_not_taken_for_run_11() -> None:
    assert sum_timings([a_receipt(11, 1.0, 1.0)], a_run())["cached"] == 1


def test_a_stage_without_audio_has_no_factor() -> None:
    assert sum_timings([], a_run())["real_time_factor"] is None

"""What `benchmarks.speed` counts, on cases counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.speed.busy import busy_shares
from benchmarks.speed.inputs import PAUSE_SECONDS, arrangement, joined
from benchmarks.speed.rounds import Sample, order, paired_ratios, summary
from benchmarks.speed.scaling import efficiencies
from gpu_worker.pcm import SAMPLE_RATE
from tasks.state.receipts import Receipt

pytestmark = pytest.mark.slow  # it imports torch

LENGTHS = {"speech": 11.0, "sonnet": 53.0, "telephone": 30.0, "novel": 6.0}
SAMPLE = Sample(
    round=0,
    side="ours",
    seconds=10.0,
    audio_seconds=600.0,
    batch_size=None,
    words=100,
    errors=5,
    peak_memory_mb=900.0,
    cpu_seconds=19.0,
    other_share=0.02,
    probe_before=0.2,
    probe_after=0.21,
    load_average=0.5,
)


def ran(worker: str, began: float, ended: float) -> Receipt:
    return Receipt("computed", ended - began, 60.0, worker, ended)


def test_units_of_one_worker_that_overlap_are_counted_once() -> None:
    receipts = [
        ran("gpu-0@local", 100.0, 104.0),
        ran("gpu-0@local", 102.0, 106.0),
        ran("gpu-1@local", 100.0, 110.0),
        Receipt("cached"),
    ]
    assert busy_shares(receipts, 100.0, 110.0) == {"gpu-0": 0.6, "gpu-1": 1.0}


def test_what_a_worker_did_before_and_after_is_not_counted() -> None:
    assert busy_shares([ran("cpu@a", 90.0, 105.0), ran("cpu@a", 109.0, 115.0)], 100, 110) == {
        "cpu": 0.6
    }


def test_every_other_round_runs_backwards() -> None:
    assert [order("abc", number) for number in range(3)] == [
        ("a", "b", "c"), ("c", "b", "a"), ("a", "b", "c"),
    ]  # fmt: skip


def test_ratios_are_of_one_round_and_their_median_is_taken() -> None:
    samples = [
        replace(SAMPLE, round=number, side=side, seconds=seconds)
        for number, ours, peer in ((0, 10.0, 20.0), (1, 30.0, 30.0), (2, 10.0, 40.0))
        for side, seconds in (("ours", ours), ("peer", peer))
    ]
    noisy = replace(SAMPLE, round=3, side="peer", other_share=0.2)
    found = paired_ratios([*samples, noisy], "ours")  # the last has no partner
    assert found == {
        "peer": {
            "median": 0.5,
            "lowest": 0.25,
            "highest": 1.0,
            "interval": (0.25, 1.0),
            "each": [0.5, 1.0, 0.25],
            "noisy_pairs": 0,
        }
    }


def test_a_sample_is_noisy_if_others_ran_or_the_machine_changed_its_speed() -> None:
    assert not SAMPLE.is_noisy
    assert replace(SAMPLE, other_share=0.11).is_noisy
    assert replace(SAMPLE, probe_after=0.23).is_noisy
    assert replace(SAMPLE, probe_after=0.17).is_noisy


def test_a_summary_has_medians_and_the_error_rate_of_all_words() -> None:
    samples = [
        replace(SAMPLE, busy={"gpu-0": 0.9}),
        replace(SAMPLE, round=1, seconds=12.0, errors=7, peak_memory_mb=950.0, busy={"gpu-0": 0.8}),
    ]
    found = summary(samples)["ours"]
    assert (found["seconds"], found["wer_percent"], found["peak_memory_mb"]) == (11.0, 6.0, 950.0)
    assert found["busy"] == {"gpu-0": 0.85}
    assert summary([replace(SAMPLE, words=0)])["ours"]["wer_percent"] is None


def test_an_order_lasts_about_as_long_as_is_wanted_and_repeats_none_before_all() -> None:
    for seed in range(20):
        minute = arrangement(LENGTHS, 60.0, seed)
        assert sum(LENGTHS[name] + PAUSE_SECONDS for name in minute) == pytest.approx(60, abs=8)
        assert len(set(minute)) == len(minute)
        long = arrangement(LENGTHS, 600.0, seed)
        assert sum(LENGTHS[name] + PAUSE_SECONDS for name in long) == pytest.approx(600, abs=30)
        assert set(long[:4]) == set(long[4:8]) == set(LENGTHS)
    assert arrangement(LENGTHS, 600.0, 1) == arrangement(LENGTHS, 600.0, 1)
    assert arrangement(LENGTHS, 600.0, 1) != arrangement(LENGTHS, 600.0, 2)


def test_one_short_recording_is_repeated() -> None:
    assert arrangement({"telephone": 30.0}, 60.0, 1) == ("telephone", "telephone")


def test_recordings_are_joined_with_pauses_before_them() -> None:
    pause = int(PAUSE_SECONDS * SAMPLE_RATE)
    audio = joined([np.ones(3, np.float32), np.ones(2, np.float32)], lead=7)
    assert len(audio) == 7 + pause + 3 + pause + 2
    assert np.flatnonzero(audio).tolist() == [
        *range(7 + pause, 10 + pause), *range(10 + 2 * pause, 12 + 2 * pause),
    ]  # fmt: skip


def test_an_efficiency_is_of_one_round() -> None:
    samples = [
        {"round": 0, "workers": 1, "seconds": 60.0},
        {"round": 0, "workers": 2, "seconds": 40.0},
        {"round": 1, "workers": 2, "seconds": 30.0},
        {"round": 1, "workers": 1, "seconds": 60.0},
    ]
    assert efficiencies(samples) == {1: 1.0, 2: 0.875}

"""Samples go to files, within bounds and behind the silence that is due."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.audio.decoder.mixing import Mixer
from gpu_worker.audio.decoder.sink import EnoughAudio, Output, Sink, check_length
from gpu_worker.errors import AudioOutOfBounds

LIMITS = AudioLimits(max_seconds=900.0)


@pytest.fixture(autouse=True)
def _no_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_worker.audio.decoder.sink.allow_cpu_seconds", lambda _: None)


def written(path: Path, lead_seconds: float, limits: AudioLimits = LIMITS) -> Sink:
    with path.open("wb") as file:
        sink = Sink(Mixer(None, limits), [Output(file.fileno())], limits, lead_seconds=lead_seconds)
        sink.write(np.ones(1600, "<i2").tobytes())
        sink.flush()
    return sink


def test_silence_comes_before_the_first_sample(tmp_path: Path) -> None:
    sink = written(tmp_path / "pcm", 0.5)
    assert (sink.samples, sink.seconds) == (9600, 0.6)
    pcm = np.fromfile(tmp_path / "pcm", "<i2")
    assert not pcm[:8000].any() and pcm[8000:].all()


def test_minutes_of_silence_takes_little_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    sink = written(tmp_path / "pcm", 600.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "pcm").stat().st_size == 2 * sink.samples == 600 * 32_000 + 3200
    assert peak < 8 << 20


def test_silence_beyond_the_longest_audio_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AudioOutOfBounds, match=r"longer than 0\.25 hours"):
        written(tmp_path / "pcm", 900.0)


def test_all_that_is_written_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(AudioOutOfBounds, match="more than 30000 bytes"):
        written(tmp_path / "pcm", 1.0, replace(LIMITS, max_output_bytes=30_000))


def test_channels_that_are_kept_apart_count_one_by_one() -> None:
    check_length(450.0, 2, LIMITS)
    with pytest.raises(AudioOutOfBounds, match=r"3 channels.*longer than 0\.25 hours"):
        check_length(301.0, 3, LIMITS)


@pytest.mark.parametrize("lead_seconds", [0.0, 0.45, 100.0])
def test_the_beginning_alone_is_written_to_the_sample(tmp_path: Path, lead_seconds: float) -> None:
    with (tmp_path / "pcm").open("wb") as file:
        sink = Sink(Mixer(None, LIMITS), [Output(file.fileno())], LIMITS, first_seconds=0.5)
        sink.lead_seconds = lead_seconds
        with pytest.raises(EnoughAudio):
            for _ in range(9):
                sink.write(np.ones(1600, "<i2").tobytes())
        sink.flush()
    assert sink.samples == 8000
    assert (tmp_path / "pcm").stat().st_size == 16_000

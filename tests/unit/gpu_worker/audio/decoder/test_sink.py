"""Samples go to files, within bounds and behind the silence that is due."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.audio.decoder.mixing import Mixer
from gpu_worker.audio.decoder.sink import Output, Sink
from gpu_worker.errors import AudioOutOfBounds

LIMITS = AudioLimits(max_seconds=900.0)


@pytest.fixture(autouse=True)
def _no_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_worker.audio.decoder.sink.allow_cpu_seconds", lambda _: None)


def written(path: Path, lead_seconds: float) -> Sink:
    with path.open("wb") as file:
        sink = Sink(Mixer(None, LIMITS), [Output(file.fileno())], LIMITS, lead_seconds=lead_seconds)
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

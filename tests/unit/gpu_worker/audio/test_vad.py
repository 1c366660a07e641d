"""Silero hears where there is speech, and nothing in silence."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from gpu_worker.audio.samples import Audio
from gpu_worker.audio.speech import VadOptions
from gpu_worker.audio.vad import speech_likelihood, speech_spans
from tests.inputs.speech import read_audio, recording

RATE = 16_000
STEP = 1 / 32768  # of 16 bits


def telephone() -> Audio:
    """The half minute of two people on the telephone that pyannote.audio brings along."""
    package = find_spec("pyannote.audio")
    assert package is not None and package.origin is not None
    return read_audio(Path(package.origin).parent / "sample" / "sample.wav")


def rounded(samples: np.ndarray) -> Audio:
    """To what 16 bits can hold."""
    return (np.rint(np.clip(samples, -1, 1) * 32767) * STEP).astype(np.float32)


def at_level(samples: Audio, decibels: float) -> Audio:
    """So quiet that one sample of a thousand exceeds that level of full scale."""
    level = np.percentile(np.abs(samples), 99.9)
    return rounded(samples * (10 ** (decibels / 20) / level))


def heard(samples: Audio) -> np.ndarray:
    """Of each sample, whether it is in a span of speech."""
    flags = np.zeros(len(samples), bool)
    for span in speech_spans(samples, 30.0):
        flags[span.start : span.end] = True
    return flags


@pytest.mark.parametrize("samples", [0, 159, RATE])
def test_silence_has_no_speech(samples: int) -> None:
    assert speech_spans(np.zeros(samples, np.float32), 30.0) == ()


def test_every_utterance_is_inside_the_speech_that_is_found() -> None:
    samples, said = recording(20, gap=(1.5, 2.0))
    flags = heard(samples)
    for utterance in said:
        inside = flags[round(utterance.start * RATE) : round(utterance.end * RATE)]
        assert inside.mean() > 0.9
    assert flags.mean() < 0.9


def test_spans_are_in_order_and_none_is_longer_than_asked() -> None:
    samples, _ = recording(20, gap=(0.05, 0.1))
    spans = speech_spans(samples, 5.0)
    edges = [edge for span in spans for edge in (span.start, span.end)]
    assert edges == sorted(edges)
    assert max(span.end - span.start for span in spans) <= 5.0 * RATE


def test_a_threshold_that_nothing_passes_finds_nothing() -> None:
    samples, _ = recording(5)
    assert speech_spans(samples, 30.0, VadOptions(threshold=0.999999)) == ()


@pytest.mark.parametrize(
    ("decibels", "share"), [(-50, 0.95), (-60, 0.95), (-70, 0.95), (-80, 0.9), (-85, 0.7)]
)
def test_a_very_quiet_recording_is_heard(decibels: float, share: float) -> None:
    loud = heard(telephone())
    quiet = heard(at_level(telephone(), decibels))
    assert quiet[loud].mean() > share
    assert loud.mean() > 0.5


def test_a_click_does_not_hide_quiet_speech() -> None:
    quiet = at_level(telephone(), -75)
    quiet[8 * RATE : 8 * RATE + 20] = 0.9
    assert heard(quiet)[heard(telephone())].mean() > 0.9


def noises() -> dict[str, np.ndarray]:
    """Ten seconds of each, of a few steps of 16 bits."""
    count = 10 * RATE
    dice = np.random.default_rng(0)
    seconds = np.arange(count) / RATE
    tones = (np.sin(2 * np.pi * 50 * tone * seconds) / tone for tone in (1, 3, 5))
    hum = sum(tones, start=np.zeros(count))
    return {
        "digital silence": np.zeros(count),
        "a click": np.where(np.arange(count) == RATE, 0.5, 0.0),
        "one step of noise": dice.integers(-1, 2, count) * STEP,
        "a step now and then": (dice.random(count) < 0.01) * STEP,
        "dither": (dice.random(count) - dice.random(count)) * STEP,
        "white noise": dice.standard_normal(count) * STEP,
        "hum": 3 * STEP * hum,
        "hum and dither": (2 * hum + dice.random(count) - dice.random(count)) * STEP,
    }


@pytest.mark.parametrize("name", noises())
def test_quiet_noise_is_no_speech(name: str) -> None:
    assert speech_spans(rounded(noises()[name]), 30.0) == ()


def test_the_same_quiet_recording_always_gives_the_same_spans() -> None:
    quiet = at_level(telephone(), -85)
    before = quiet.copy()
    assert speech_spans(quiet, 30.0) == speech_spans(quiet, 30.0)
    assert np.array_equal(quiet, before)


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 1), (512, 1), (513, 2), (RATE, 32)])
def test_each_frame_has_a_likelihood(samples: int, frames: int) -> None:
    assert speech_likelihood(np.zeros(samples, np.float32)).shape == (frames,)


@pytest.mark.parametrize("decibels", [-10, -60])
def test_frames_in_speech_are_likelier_and_the_samples_stay_as_they_are(decibels: float) -> None:
    samples, said = recording(20, gap=(1.5, 2.0))
    quiet = at_level(samples[: len(samples) // 512 * 512], decibels)
    before = quiet.copy()
    likelihood = speech_likelihood(quiet)
    assert np.array_equal(quiet, before)
    times = np.arange(len(likelihood)) * 512 / RATE
    inside = np.any([(each.start <= times) & (times < each.end) for each in said], axis=0)
    assert likelihood[inside].mean() > 0.8
    assert likelihood[~inside].mean() < 0.2

"""One cut is where nothing is said: by the speech detector, and by loudness without one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_worker.audio.cuts import Pcm, cut_near
from gpu_worker.audio.samples import Audio
from gpu_worker.audio.speech import FRAME_SAMPLES, Likelihood
from gpu_worker.audio.vad import speech_likelihood
from tests.inputs.speech import Utterance, recording

RATE = 16_000
REACH = 15 * RATE


class Detector:
    """Gives one likelihood but for some seconds of the file; remembers what it was given."""

    def __init__(self, start: int, usual: float, **places: tuple[float, float, float]) -> None:
        """`start` is the file's sample at which every stretch that is heard begins."""
        self.heard: list[int] = []
        self._start, self._usual, self._places = start, usual, tuple(places.values())

    def __call__(self, audio: Audio) -> Likelihood:
        self.heard.append(len(audio))
        frames = -(-len(audio) // FRAME_SAMPLES)
        times = (self._start + np.arange(frames) * FRAME_SAMPLES) / RATE
        likelihood = np.full(frames, self._usual, np.float32)
        for begin, end, value in self._places:
            likelihood[(times >= begin) & (times < end)] = value
        return likelihood


def noise(seconds: float, level: float = 3000) -> Pcm:
    return np.random.default_rng(1).normal(0, level, round(seconds * RATE)).astype(np.int16)


def in_noise(speech: Audio, seed: int) -> Pcm:
    """With as much white noise as there is speech."""
    dice = np.random.default_rng(seed)
    mixed = speech + dice.normal(0, np.sqrt(np.mean(speech**2)), len(speech))
    return np.rint(mixed / np.abs(mixed).max() * 30_000).astype(np.int16)


def spoken(said: list[Utterance], cut: int) -> bool:
    return any(utterance.start < cut / RATE < utterance.end for utterance in said)


@pytest.mark.slow
def test_behind_noise_the_detector_finds_the_pauses_that_loudness_does_not() -> None:
    speech, said = recording(240, gap=(0.1, 0.4))
    pcm = in_noise(speech, 0)
    boundaries = range(20 * RATE, 220 * RATE, 10 * RATE)
    by_loudness = [cut_near(pcm, nominal, 8 * RATE) for nominal in boundaries]
    by_speech = [cut_near(pcm, nominal, 8 * RATE, speech_likelihood) for nominal in boundaries]
    assert sum(spoken(said, cut) for cut in by_loudness) >= 10
    assert sum(spoken(said, cut) for cut in by_speech) <= 4
    assert all(
        abs(cut - nominal) <= 8 * RATE for cut, nominal in zip(by_speech, boundaries, strict=True)
    )


def test_the_least_likely_place_wins_over_the_quietest() -> None:
    pcm = noise(60)
    pcm[28 * RATE : 29 * RATE] //= 10  # a quiet syllable
    detector = Detector(24 * RATE, 0.9, pause=(32.0, 33.0, 0.01))
    assert cut_near(pcm, 30 * RATE, REACH, detector) / RATE == pytest.approx(32.5, abs=0.3)


def test_of_places_that_are_equally_unlikely_the_quietest_wins() -> None:
    pcm = noise(60)
    pcm[33 * RATE : 34 * RATE] //= 10
    detector = Detector(24 * RATE, 0.9, one=(27.0, 28.0, 0.01), other=(33.0, 34.0, 0.01))
    assert cut_near(pcm, 30 * RATE, REACH, detector) / RATE == pytest.approx(33.5, abs=0.3)


def test_the_longer_of_two_pauses_is_cut_in_its_middle() -> None:
    pcm = np.zeros(60 * RATE, np.int16)
    detector = Detector(24 * RATE, 0.9, short=(29.0, 29.5, 0.0), long=(32.0, 33.5, 0.0))
    assert cut_near(pcm, 30 * RATE, REACH, detector) / RATE == pytest.approx(32.7, abs=0.3)


def test_speech_throughout_is_cut_at_its_quietest() -> None:
    pcm = noise(60)
    begin = round(33.2 * RATE)
    pcm[begin : begin + RATE // 5] //= 100
    detector = Detector(14 * RATE, 0.95)
    assert cut_near(pcm, 30 * RATE, REACH, detector) / RATE == pytest.approx(33.3, abs=0.1)


def test_where_no_speech_is_heard_the_longest_silence_is_taken() -> None:
    pcm = noise(60)
    pcm[26 * RATE : 27 * RATE] = 0
    pcm[31 * RATE : 33 * RATE] = 0
    assert cut_near(pcm, 30 * RATE, REACH, speech_likelihood) / RATE == pytest.approx(32, abs=0.05)


def test_a_clear_pause_near_the_boundary_spares_hearing_the_rest() -> None:
    detector = Detector(24 * RATE, 0.9, pause=(32.0, 34.0, 0.01))
    cut_near(noise(60), 30 * RATE, REACH, detector)
    assert detector.heard == [11 * RATE]  # 5 s on each side, and 1 s before


def test_without_a_clear_pause_near_the_boundary_the_whole_reach_is_heard() -> None:
    detector = Detector(14 * RATE, 0.9)
    cut_near(noise(60), 30 * RATE, REACH, detector)
    assert detector.heard == [11 * RATE, 31 * RATE]


def test_a_reach_of_a_few_frames_leaves_the_boundary_where_it_is() -> None:
    detector = Detector(0, 0.9)
    assert cut_near(noise(2), RATE, 500, detector) == RATE
    assert detector.heard == []


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    nominal=st.integers(1, 60 * RATE - 1),
    share=st.floats(0, 1),
    usual=st.floats(0, 1),
    begin=st.floats(0, 60),
)
def test_a_cut_is_within_its_reach(nominal: int, share: float, usual: float, begin: float) -> None:
    pcm = noise(60)
    reach = int(share * min(nominal, len(pcm) - nominal, REACH))
    detector = Detector(0, usual, other=(begin, begin + 3, 1 - usual))
    assert abs(cut_near(pcm, nominal, reach, detector) - nominal) <= reach

"""The language is heard in windows spread over the whole file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Settings
from gpu_worker import loaded
from gpu_worker.audio.samples import Audio
from gpu_worker.choosing import Found
from gpu_worker.loaded import register_engine
from gpu_worker.pcm import Span
from gpu_worker.transcription.engines import DetectedLanguage
from gpu_worker.transcription.engines.fake import FakeEngine
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.manifest import Plan
from tasks.runs.records import Records
from tasks.runs.stages import Stage
from tasks.stages import detect_language as language
from tests.inputs.examples import TENANT, a_manifest, a_unit, write_records
from tests.inputs.parakeet_model import write_parakeet
from tests.inputs.speech import Samples, recording
from tests.unit.tasks.inline import run_task

RATE = 16_000
UNIT = a_unit(Stage.DETECT_LANGUAGE)


class Listening(FakeEngine):
    """Remembers the windows it was given."""

    heard: list[int]  # samples in each

    def detect_languages(self, windows: Sequence[Audio]) -> tuple[DetectedLanguage, ...]:
        self.heard = [len(window) for window in windows]
        return tuple(DetectedLanguage("es", 0.9) for _ in windows)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"allowed_models": "fake,listening"})


@pytest.fixture
def engine() -> Iterator[Listening]:
    listening = Listening()
    register_engine("listening", lambda request: listening)
    yield listening
    del loaded._engines["listening"]


def detected(place: Workplace, samples: Samples) -> str | None:
    """The language that the stage writes down for this audio."""
    manifest = a_manifest(model="listening", language=None)
    plan = Plan(audio="ab", seconds=len(samples) / RATE, chunks=(Span(0, len(samples)),))
    write_records(place.store, manifest, plan)
    place.store.put(keys.pcm(TENANT, "ab"), (samples * 32767).astype("<i2").tobytes())
    run_task(UNIT)
    artifact = keys.language(TENANT, "ab", manifest.options)
    found: str | None = json.loads(place.store.get(artifact))["language"]
    assert Records(place.store).language(manifest, plan) == found
    return found


@pytest.mark.slow
def test_five_places_of_a_long_file_are_one_batch(place: Workplace, engine: Listening) -> None:
    assert detected(place, recording(400)[0]) == "es"
    assert len(engine.heard) == 5
    assert max(engine.heard) <= engine.max_window_seconds * RATE


@pytest.mark.parametrize("seconds", [3, 20, 50])
def test_a_file_of_up_to_a_minute_is_heard_once(
    place: Workplace, engine: Listening, seconds: float
) -> None:
    samples = recording(seconds)[0]
    assert detected(place, samples) == "es"
    assert len(engine.heard) == 1
    assert engine.heard[0] <= len(samples)


def test_both_channels_of_a_short_file_are_heard(place: Workplace, engine: Listening) -> None:
    speech = recording(10)[0]
    count = len(speech)
    plan = Plan(
        audio="silent",
        seconds=count / RATE,
        chunks=(Span(0, count), Span(0, count)),
        channels=("silent", "ab"),
        chunk_channels=(0, 1),
    )
    manifest = a_manifest(model="listening", language=None, channels="split")
    write_records(place.store, manifest, plan)
    place.store.put(keys.pcm(TENANT, "ab"), (speech * 32767).astype("<i2").tobytes())
    place.store.put(keys.pcm(TENANT, "silent"), bytes(2 * count))
    run_task(UNIT)
    assert Records(place.store).language(manifest, plan) == "es"
    assert len(engine.heard) == 1


@given(
    samples=st.integers(1, 3 * 3600 * RATE),
    channels=st.integers(1, 16),
    count=st.sampled_from(language.PLACES),
)
def test_no_piece_of_audio_is_heard_twice(samples: int, channels: int, count: int) -> None:
    stretches = language.spread(samples, channels, count)
    longest = int(language.PLACE_SECONDS * RATE)
    assert 1 <= len(stretches) <= count
    assert len(stretches) == min(count, channels * -(-samples // longest))
    assert {stretch.channel for stretch in stretches} == set(range(min(channels, len(stretches))))
    for channel in range(channels):
        mine = [stretch for stretch in stretches if stretch.channel == channel]
        assert all(a.start + a.samples <= b.start for a, b in pairwise(mine))
    assert all(0 <= each.start <= samples - each.samples for each in stretches)
    assert all(each.samples <= longest for each in stretches)


@pytest.mark.parametrize(
    ("seconds", "places"),
    [(45, [(0, 45)]), (90, [(0, 45), (45, 45)]), (600, [(30, 60), (150, 60), (270, 60)])],
)
def test_places_are_in_the_middle_of_equal_shares(
    seconds: int, places: list[tuple[int, int]]
) -> None:
    stretches = language.spread(seconds * RATE, 1, 5)
    found = [(each.start / RATE, each.samples / RATE) for each in stretches]
    assert found[: len(places)] == places


@pytest.mark.slow
def test_speech_away_from_the_first_places_is_looked_for(
    place: Workplace, engine: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language, "PLACE_SECONDS", 15.0)
    samples = np.zeros(300 * RATE, np.float32)
    speech = recording(4)[0]
    samples[38 * RATE :][: len(speech)] = speech  # behind the first of five, in the third of 20
    assert detected(place, samples) == "es"
    assert len(engine.heard) == 1


@pytest.mark.slow
def test_split_channels_are_listened_to_in_turn(place: Workplace, engine: Listening) -> None:
    speech = recording(400)[0]
    count = len(speech)
    plan = Plan(
        audio="silent",
        seconds=count / RATE,
        chunks=(Span(0, count), Span(0, count)),
        channels=("silent", "ab", "silent"),
        chunk_channels=(0, 1),
    )
    manifest = a_manifest(model="listening", language=None, channels="split")
    write_records(place.store, manifest, plan)
    place.store.put(keys.pcm(TENANT, "ab"), (speech * 32767).astype("<i2").tobytes())
    place.store.put(keys.pcm(TENANT, "silent"), bytes(2 * count))
    run_task(UNIT)
    assert Records(place.store).language(manifest, plan) == "es"
    assert len(engine.heard) == 2  # the second and the fourth of five places


@pytest.mark.needs("faster_whisper")
def test_a_file_in_which_nobody_speaks_has_no_language(place: Workplace, engine: Listening) -> None:
    assert detected(place, np.zeros(8 * RATE, np.float32)) is None


def test_for_a_model_that_does_not_say_what_it_hears_another_one_does(
    place: Workplace, engine: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(write_parakeet(tmp_path / "parakeet"))
    found = Found("listening")
    monkeypatch.setattr("gpu_worker.choosing.choose_model", lambda place, language, task: found)
    manifest = a_manifest(model=model, language=None)
    plan = Plan(audio="ab", seconds=8.0, chunks=(Span(0, 8 * RATE),))
    write_records(place.store, manifest, plan)
    sound = recording(8)[0][: 8 * RATE]
    place.store.put(keys.pcm(TENANT, "ab"), (sound * 32767).astype("<i2").tobytes())
    assert run_task(UNIT)["outcome"] == "computed"
    assert Records(place.store).language(manifest, plan) == "es"

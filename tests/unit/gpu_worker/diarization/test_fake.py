"""The diarizer without a model goes through shards like a real one."""

from __future__ import annotations

import time

import numpy as np
import pytest

from gpu_worker.audio.samples import Audio
from gpu_worker.diarization import DiarizerRequest, ShardVoices, SpeakerBounds
from gpu_worker.diarization.fake import FakeDiarizer
from gpu_worker.errors import UnknownModel
from gpu_worker.loaded import (
    LoadedDiarizers,
    _diarizers,
    load_diarizer,
    register_diarizer,
)
from gpu_worker.transcript import Turn
from tests.unit.gpu_worker.diarization.shards import embed_in_shards

NOISE: Audio = np.random.default_rng(0).uniform(-1, 1, 200_000).astype(np.float32)


def test_two_speakers_take_turns_of_four_seconds() -> None:
    fake = FakeDiarizer()
    found = fake.cluster(embed_in_shards(fake, NOISE, 256), len(NOISE), SpeakerBounds())
    assert found.turns == (
        Turn(0.0, 4.0, "SPEAKER_00"),
        Turn(4.0, 8.0, "SPEAKER_01"),
        Turn(8.0, 12.0, "SPEAKER_00"),
        Turn(12.0, 12.5, "SPEAKER_01"),
    )
    assert found.exclusive == found.turns
    assert [speaker.label for speaker in found.speakers] == ["SPEAKER_00", "SPEAKER_01"]


@pytest.mark.parametrize("shard_seconds", [0.7, 3, 6.5, 11])
def test_the_turns_do_not_depend_on_the_shards(shard_seconds: float) -> None:
    fake = FakeDiarizer()
    whole, cut = (
        fake.cluster(embed_in_shards(fake, NOISE, length), len(NOISE), SpeakerBounds())
        for length in (256, shard_seconds)
    )
    assert whole == cut


def test_a_lost_shard_is_missing_from_the_turns() -> None:
    fake = FakeDiarizer()
    audio = np.resize(NOISE, 480_000)
    shards = embed_in_shards(fake, audio, 10)
    found = fake.cluster([shards[0], shards[2]], len(audio), SpeakerBounds())
    assert all(turn.end <= 14 or turn.start >= 20 for turn in found.turns)


def test_silence_is_nobodys() -> None:
    fake = FakeDiarizer()
    audio = NOISE.copy()
    audio[16_000:80_000] = 0
    found = fake.cluster(embed_in_shards(fake, audio, 256), len(audio), SpeakerBounds())
    assert [(turn.start, turn.end) for turn in found.turns[:2]] == [(0.0, 1.0), (5.0, 8.0)]
    assert fake.voice(audio) is not None
    assert fake.voice(audio[16_000:80_000]) is None


@pytest.mark.parametrize("bounds", [SpeakerBounds(1), SpeakerBounds(max_speakers=1)])
def test_one_speaker_is_one_speaker(bounds: SpeakerBounds) -> None:
    fake = FakeDiarizer()
    found = fake.cluster(embed_in_shards(fake, NOISE, 256), len(NOISE), bounds)
    assert found.turns == (Turn(0.0, 12.5, "SPEAKER_00"),)


@pytest.mark.parametrize("audio", [NOISE[:0], NOISE[:100]])
def test_a_file_may_be_very_short(audio: Audio) -> None:
    fake = FakeDiarizer()
    found = fake.cluster(embed_in_shards(fake, audio, 256), len(audio), SpeakerBounds())
    assert [turn.end for turn in found.turns] == [0.00625] * bool(len(audio))


def test_it_takes_its_time_and_can_be_stopped_between_windows() -> None:
    fake = load_diarizer(DiarizerRequest("fake-100x"))
    begin = time.perf_counter()
    fake.embed(NOISE, range(5))
    assert time.perf_counter() - begin >= 0.05

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        fake.embed(NOISE, range(5), stop)


@pytest.mark.slow  # pyannote is imported
@pytest.mark.parametrize("name", ["fake-", "fake-fastx", "faker"])
def test_a_name_that_only_begins_like_it_is_unknown(name: str) -> None:
    with pytest.raises(UnknownModel):
        load_diarizer(DiarizerRequest(name))


def test_a_process_loads_each_diarizer_once() -> None:
    loads: list[str] = []

    def load(request: DiarizerRequest) -> FakeDiarizer:
        loads.append(request.model)
        return FakeDiarizer(request.model)

    register_diarizer("counted", load)
    held = LoadedDiarizers(1)
    for name in ("counted", "counted", "counted-b", "counted"):
        assert held.get(DiarizerRequest(name)).name == name
    del _diarizers["counted"]
    assert loads == ["counted", "counted-b", "counted"]


def test_its_shards_can_be_stored() -> None:
    fake = FakeDiarizer()
    shards = [ShardVoices.from_bytes(s.to_bytes()) for s in embed_in_shards(fake, NOISE, 3)]
    assert len(fake.cluster(shards, len(NOISE), SpeakerBounds()).turns) == 4

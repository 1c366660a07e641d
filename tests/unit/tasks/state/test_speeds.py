"""How fast each stage is, as its workers found it."""

from __future__ import annotations

import pytest
from redis import Redis

from tasks.runs.stages import Stage
from tasks.state.speeds import Speed, SpeedName, Speeds

NAME = SpeedName("gpu", Stage.TRANSCRIBE, "owner/model|with a bar")


def test_nothing_is_known_at_first(redis: Redis) -> None:
    assert Speeds(redis).read() == {}


def test_one_unit_tells_its_own_speed(redis: Redis) -> None:
    Speeds(redis).observe(NAME, seconds=3.0, audio_seconds=300.0)
    assert Speeds(redis).read() == {NAME: Speed(100.0, 300.0)}


def test_long_units_count_more_than_short_ones(redis: Redis) -> None:
    speeds = Speeds(redis)
    speeds.observe(NAME, seconds=1.0, audio_seconds=10.0)
    speeds.observe(NAME, seconds=1.0, audio_seconds=1000.0)
    found = speeds.read()[NAME].audio_seconds_per_second
    assert found == pytest.approx((0.98 * 10 + 1000) / (0.98 + 1))


def test_what_was_long_ago_fades(redis: Redis) -> None:
    speeds = Speeds(redis)
    speeds.observe(NAME, seconds=100.0, audio_seconds=100.0)  # the model was loaded first
    for _ in range(200):
        speeds.observe(NAME, seconds=1.0, audio_seconds=100.0)
    assert speeds.read()[NAME].audio_seconds_per_second == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize(("seconds", "audio"), [(0.0, 10.0), (1.0, 0.0)])
def test_a_unit_without_audio_or_time_tells_nothing(
    redis: Redis, seconds: float, audio: float
) -> None:
    Speeds(redis).observe(NAME, seconds, audio)
    assert Speeds(redis).read() == {}


def test_pools_stages_and_models_are_kept_apart(redis: Redis) -> None:
    speeds = Speeds(redis)
    names = [
        SpeedName(pool, stage, model)
        for pool in ("gpu", "mig")
        for stage in (Stage.TRANSCRIBE, Stage.ALIGN)
        for model in ("small", "large-v3")
    ]
    for number, name in enumerate(names, 1):
        speeds.observe(name, seconds=1.0, audio_seconds=float(number))
    found = {name: speed.audio_seconds_per_second for name, speed in speeds.read().items()}
    assert found == {name: float(number) for number, name in enumerate(names, 1)}


def test_the_speeds_of_one_model_are_forgotten_in_all_pools(redis: Redis) -> None:
    speeds = Speeds(redis)
    other = SpeedName("gpu", Stage.TRANSCRIBE, "model|with a bar")
    for name in (NAME, SpeedName("mig", Stage.ALIGN, NAME.model), other):
        speeds.observe(name, 1.0, 10.0)
    speeds.forget(NAME.model)
    assert list(speeds.read()) == [other]
    speeds.forget(NAME.model)


def test_a_stage_of_another_version_is_left_out(redis: Redis) -> None:
    speeds = Speeds(redis)
    speeds.observe(NAME, seconds=3.0, audio_seconds=300.0)
    for field in ("seconds", "audio", "units"):
        redis.hset("scriptorium:speeds", f"gpu|summarize|large/{field}", 1.0)
    assert set(speeds.read()) == {NAME}

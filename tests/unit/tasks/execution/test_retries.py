"""The retry table, one line a case."""

from __future__ import annotations

import pytest
from botocore.exceptions import BotoCoreError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gpu_worker.errors import (
    ChunkCrashed,
    DevicePoisoned,
    DiskFull,
    InvalidOption,
    ModelUnavailable,
    OutOfMemory,
    StoreRefused,
    StoreUnavailable,
    UnreadableAudio,
)
from tasks.execution.retries import (
    FIRST_DELAY_SECONDS,
    LONGEST_DELAY_SECONDS,
    EndProcess,
    Fail,
    Retry,
    backoff,
    decide,
)
from tasks.faults import code_of

MAX = 6


@pytest.mark.parametrize(
    ("error", "tries", "outcome"),
    [
        (UnreadableAudio(), 0, "unreadable_audio"),
        (InvalidOption(), 0, "invalid_option"),
        (StoreRefused(), 0, "store_refused"),
        (ChunkCrashed(), 0, "chunk_crashed"),
        (OutOfMemory(), 0, "retry"),
        (OutOfMemory(), 1, "gpu_out_of_memory"),
        (DevicePoisoned(), 0, "end"),
        (DevicePoisoned(), MAX, "end"),
        (StoreUnavailable(), 0, "retry"),
        (StoreUnavailable(), MAX - 1, "retry"),
        (StoreUnavailable(), MAX, "retries_exhausted"),
        (ModelUnavailable(), MAX, "retries_exhausted"),
        (DiskFull(), 0, "retry"),
        (RedisConnectionError("away"), 0, "retry"),
        (RedisTimeoutError("slow"), MAX, "retries_exhausted"),
        (OperationalError("away"), 0, "retry"),
        (EndpointConnectionError(endpoint_url="http://x"), 0, "retry"),
        (ResponseError("OOM"), 1, "internal_error"),
        (ValueError("a bug"), 0, "retry"),
        (ValueError("a bug"), 1, "internal_error"),
    ],
    ids=repr,
)
def test_what_follows_from_an_error(error: Exception, tries: int, outcome: str) -> None:
    decision = decide(error, tries, MAX, jitter=0.5)
    if isinstance(decision, Fail):
        assert decision.error.code == outcome
    else:
        assert type(decision) is {"retry": Retry, "end": EndProcess}[outcome]


def test_no_retries_means_that_the_first_fault_is_final() -> None:
    assert isinstance(decide(StoreUnavailable(), 0, 0, jitter=0.0), Fail)


def test_a_failure_says_what_was_wrong_in_one_line() -> None:
    decision = decide(ValueError("first line\nsecond line"), 1, MAX, jitter=0.0)
    assert isinstance(decision, Fail)
    assert decision.error.message == "An unexpected error: ValueError: first line"


def test_an_exhausted_fault_says_how_often_it_was_tried() -> None:
    decision = decide(StoreUnavailable("It is down."), MAX, MAX, jitter=0.0)
    assert isinstance(decision, Fail)
    assert decision.error.message == "After 7 tries: StoreUnavailable: It is down."


@given(st.integers(0, 1000), st.floats(0, 1))
def test_a_delay_is_between_half_and_all_of_its_nominal_length(tries: int, jitter: float) -> None:
    nominal = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**tries)
    assert nominal / 2 <= backoff(tries, jitter) <= nominal


def test_delays_double_until_the_longest() -> None:
    delays = [backoff(tries, 1.0) for tries in range(8)]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnreadableAudio(), "unreadable_audio"),
        (OutOfMemory(), "gpu_out_of_memory"),
        (RedisConnectionError("away"), "redis_unavailable"),
        (OperationalError("broker away"), "redis_unavailable"),
        (BotoCoreError(), "store_unavailable"),
        (KeyError("a bug"), "internal_error"),
    ],
    ids=repr,
)
def test_every_error_has_one_of_few_codes(error: Exception, code: str) -> None:
    assert code_of(error) == code

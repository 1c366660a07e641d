"""The retry table, one line a case."""

from __future__ import annotations

import pytest
from botocore.exceptions import BotoCoreError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, ReadOnlyError, ResponseError
from redis.exceptions import OutOfMemoryError as RedisFull
from redis.exceptions import TimeoutError as RedisTimeoutError

from gpu_worker.errors import (
    ChunkCrashed,
    DeviceFault,
    DevicePoisoned,
    DiskFull,
    HubTokenMissing,
    InvalidOption,
    LibraryMissing,
    ModelGated,
    ModelNotTrusted,
    ModelUnavailable,
    OutOfMemory,
    ScratchUnusable,
    SourceUnavailable,
    StoreRefused,
    StoreUnavailable,
    UnreadableAudio,
    WorkerFault,
)
from gpu_worker.models.faults import ModelUnusable, TypeUnsupported
from tasks.execution.retries import (
    FIRST_DELAY_SECONDS,
    LONGEST_DELAY_SECONDS,
    TRIES_OF_ONE_WORKER,
    EndProcess,
    Fail,
    Retry,
    TestWorker,
    Tries,
    backoff,
    decide,
)
from tasks.faults import code_of

MAX = 6


def tried(times: int) -> Tries:
    """So many tries, each by another worker."""
    return Tries(tuple(f"worker{number}" for number in range(times)), times, "this")


@pytest.mark.parametrize(
    ("error", "tries", "outcome"),
    [
        (UnreadableAudio(), 0, "unreadable_audio"),
        (InvalidOption(), 0, "invalid_option"),
        (ChunkCrashed(), 0, "chunk_crashed"),
        (LibraryMissing(), 0, "retry"),
        (LibraryMissing(), 1, "library_missing"),
        (HubTokenMissing(), 0, "retry"),
        (ModelGated(), 1, "model_gated"),
        (ModelNotTrusted(), 0, "retry"),
        (TypeUnsupported(), 0, "retry"),
        (TypeUnsupported(), 1, "compute_type_unsupported"),
        (ModelUnusable("base", "It is broken."), 0, "test"),
        (OutOfMemory(), 0, "retry"),
        (OutOfMemory(), 1, "gpu_out_of_memory"),
        (DevicePoisoned(), 0, "end"),
        (DevicePoisoned(), MAX, "end"),
        (StoreUnavailable(), 0, "awaited"),
        (StoreUnavailable(), 1000, "awaited"),
        (StoreRefused(), 1000, "awaited"),
        (ModelUnavailable(), 1000, "awaited"),
        (SourceUnavailable(), MAX - 1, "retry"),
        (SourceUnavailable(), MAX, "retries_exhausted"),
        (DeviceFault(), 0, "test"),
        (ScratchUnusable(), MAX, "test"),
        (DiskFull(), 0, "test"),
        (RedisConnectionError("away"), 0, "awaited"),
        (RedisTimeoutError("slow"), MAX, "awaited"),
        (OperationalError("away"), 0, "awaited"),
        (EndpointConnectionError(endpoint_url="http://x"), 0, "awaited"),
        (ReadOnlyError("You can't write against a read only replica."), MAX, "awaited"),
        (RedisFull("command not allowed when used memory > 'maxmemory'."), MAX, "awaited"),
        (ResponseError("MISCONF Redis is configured to save"), MAX, "awaited"),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), MAX, "awaited"),
        (
            ResponseError("Command # 1 of pipeline caused error: MISCONF x"),
            MAX,
            "awaited",
        ),
        (ResponseError("Error running script: @user_script: 1: -READONLY You"), MAX, "awaited"),
        (NoPermissionError("this user has no permissions"), MAX, "awaited"),
        (ResponseError("WRONGTYPE Operation against a key"), 1, "internal_error"),
        (ResponseError("unknown command `NOSUCH`"), 1, "internal_error"),
        (ValueError("a bug"), 0, "retry"),
        (ValueError("a bug"), 1, "internal_error"),
    ],
    ids=repr,
)
def test_what_follows_from_an_error(error: Exception, tries: int, outcome: str) -> None:
    decision = decide(error, tried(tries), MAX, jitter=0.5)
    if isinstance(decision, Fail):
        assert decision.error.code == outcome
    else:
        expected = {"retry": Retry(0.75), "awaited": Retry(0.75, is_charged=False)}
        if isinstance(decision, Retry):
            assert decision.is_charged is expected[outcome].is_charged
        else:
            assert type(decision) is {"test": TestWorker, "end": EndProcess}[outcome]


@pytest.mark.parametrize("error", [DeviceFault(), ScratchUnusable()], ids=repr)
def test_a_fault_of_a_worker_that_is_fit_is_charged_like_a_bug(error: WorkerFault) -> None:
    assert decide(error, tried(0), MAX, 0.5, is_fit=True) == Retry(0.75)
    assert decide(error, tried(1), MAX, 0.5, is_fit=True) == Fail(error)
    assert isinstance(decide(DiskFull(), tried(0), MAX, 0.5, is_fit=True), Retry)


@pytest.mark.parametrize("error", [ValueError("a bug"), DeviceFault()], ids=repr)
def test_one_worker_alone_must_fail_more_often_before_a_unit_is_given_up(error: Exception) -> None:
    outcomes = [
        type(decide(error, Tries(("a",) * times, times, "a"), MAX, 0.5, is_fit=True))
        for times in range(TRIES_OF_ONE_WORKER)
    ]
    assert outcomes == [Retry] * (TRIES_OF_ONE_WORKER - 1) + [Fail]


def test_no_transcript_waits_for_a_library_that_it_can_do_without() -> None:
    decision = decide(LibraryMissing(), tried(0), MAX, 0.5, can_be_missing=True)
    assert isinstance(decision, Fail) and decision.error.code == "library_missing"


def test_no_transcript_waits_for_a_model_that_it_can_do_without() -> None:
    decision = decide(ModelUnavailable(), tried(MAX), MAX, 0.5, can_be_missing=True)
    assert isinstance(decision, Fail) and decision.error.code == "retries_exhausted"
    waiting = decide(StoreUnavailable(), tried(MAX), MAX, 0.5, can_be_missing=True)
    assert isinstance(waiting, Retry)


def test_what_was_awaited_is_no_try_of_the_unit() -> None:
    decision = decide(ValueError("a bug"), Tries((), 50, "a"), MAX, 0.5)
    assert isinstance(decision, Retry)


def test_delays_of_what_is_awaited_stay_at_their_longest() -> None:
    decision = decide(StoreUnavailable(), Tries((), 100_000, "a"), MAX, 1.0)
    assert decision == Retry(LONGEST_DELAY_SECONDS, is_charged=False)


def test_no_retries_means_that_the_first_fault_is_final() -> None:
    assert isinstance(decide(SourceUnavailable(), tried(0), 0, jitter=0.0), Fail)


def test_a_failure_says_what_was_wrong_in_one_line() -> None:
    decision = decide(ValueError("first line\nsecond line"), tried(1), MAX, jitter=0.0)
    assert isinstance(decision, Fail)
    assert decision.error.message == "An unexpected error: ValueError: first line"


def test_an_exhausted_fault_says_how_often_it_was_tried() -> None:
    decision = decide(SourceUnavailable("It is down."), tried(MAX), MAX, jitter=0.0)
    assert isinstance(decision, Fail)
    assert decision.error.message == "After 7 tries: SourceUnavailable: It is down."


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

"""Sessions of the page: a token of their own, in a real Redis to which workers can write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis

from config.settings import Settings
from orchestrator.access import sessions
from orchestrator.access.keys import REMEMBERED_SECONDS, digest_of
from orchestrator.access.sessions import PREFIX, SESSION_SECONDS, Sessions
from orchestrator.access.signatures import Signer

SECRET = Signer(Settings(keys_secret=SecretStr("s" * 32)))
PLACE = "scriptorium:session:"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("signer", [SECRET, Signer(Settings())])
def test_a_session_stands_for_its_key_in_every_process(redis: Redis, signer: Signer) -> None:
    token = Sessions(redis, signer).open("the key's hash")
    assert token.startswith(PREFIX)
    assert Sessions(redis, signer).key_of(token) == "the key's hash"
    kept = str(list(redis.scan_iter()))
    assert token not in kept and digest_of(token) in kept


def test_a_session_ends_after_half_a_day_at_the_latest(redis: Redis) -> None:
    clock = Clock()
    here = Sessions(redis, SECRET, clock)
    token = here.open("key")
    assert 0 < redis.ttl(PLACE + digest_of(token)) <= SESSION_SECONDS
    redis.persist(PLACE + digest_of(token))  # whatever a worker does to it
    clock.now += SESSION_SECONDS - 1
    assert here.key_of(token) == "key"
    clock.now += 1
    assert here.key_of(token) is None


def test_a_log_out_ends_it_here_at_once_and_elsewhere_in_seconds(redis: Redis) -> None:
    clock = Clock()
    here, elsewhere = Sessions(redis, SECRET, clock), Sessions(redis, SECRET, clock)
    token = here.open("key")
    assert elsewhere.key_of(token) == "key"
    here.close(token)
    assert here.key_of(token) is None and elsewhere.key_of(token) == "key"
    clock.now += REMEMBERED_SECONDS
    assert elsewhere.key_of(token) is None


@pytest.mark.parametrize(
    "forged",
    [{"key": "of the administrator"}, {"end": 9e9}, {"signature": ""}, {"signature": 7},
     {"end": []}],
)  # fmt: skip
def test_a_writer_of_redis_cannot_make_or_change_a_session(
    redis: Redis, forged: dict[str, Any]
) -> None:
    here = Sessions(redis, SECRET)
    token = here.open("key")
    place = PLACE + digest_of(token)
    record: Any = redis.get(place)
    redis.set(place, json.dumps(json.loads(record) | forged))
    assert here.key_of(token) is None
    other = PREFIX + "o" * 43
    redis.set(PLACE + digest_of(other), record)
    assert here.key_of(other) is None


@pytest.mark.parametrize("data", ["", "{", "7", "[]", "x" * 10_000, "[" * 1000])
def test_what_is_no_session_is_none(redis: Redis, data: str) -> None:
    token = PREFIX + "o" * 43
    redis.set(PLACE + digest_of(token), data)
    assert Sessions(redis, SECRET).key_of(token) is None


def test_what_has_not_the_form_of_a_token_is_not_looked_for(no_redis: Redis) -> None:
    here = Sessions(no_redis, SECRET)
    assert here.remembers("x") and here.key_of("x") is None


def test_made_up_tokens_take_bounded_memory(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "REMEMBERED", 5)
    here = Sessions(redis, SECRET)
    for number in range(20):
        assert here.key_of(f"{PREFIX}{number:043}") is None
    assert len(here._remembered) <= 5

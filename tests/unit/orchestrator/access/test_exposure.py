"""Without keys the API is for this machine only."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access import EVERY_SCOPE
from orchestrator.access.exposure import check_exposure, is_loopback
from orchestrator.access.keys import ApiKeys
from tasks.artifacts.memory import MemoryStore


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_this_machine_may_come_in_without_a_key(host: str) -> None:
    assert is_loopback(host)
    assert check_exposure(MemoryStore(), Settings(), host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.1", "8.8.8.8", "localhost.example", "", "2130706433"]
)
def test_others_may_not(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(InvalidOption, match="no API keys") as refused:
        check_exposure(MemoryStore(), Settings(), host)
    assert "scriptorium keys create" in refused.value.advice


def test_with_a_key_everybody_needs_one() -> None:
    keyed = Settings(api_key=SecretStr("scr_x" * 4))
    assert not check_exposure(MemoryStore(), keyed, "0.0.0.0")
    store = MemoryStore()
    ApiKeys(store, Settings()).create("default", "", EVERY_SCOPE)
    assert not check_exposure(store, Settings(), "0.0.0.0")


def test_an_operator_may_open_it_to_everybody() -> None:
    assert check_exposure(MemoryStore(), Settings(allow_anonymous=True), "0.0.0.0")

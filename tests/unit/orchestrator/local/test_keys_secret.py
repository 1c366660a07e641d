"""The secret that a local cluster signs its keys with."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access import EVERY_SCOPE
from orchestrator.access.keys import ApiKeys
from orchestrator.local.keys_secret import NAME, with_kept_secret, with_own_secret, with_secret_for
from tasks.artifacts.memory import MemoryStore


@pytest.fixture
def values(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def test_it_is_made_once_for_this_user_alone(values: Settings) -> None:
    first = with_secret_for(values, MemoryStore())
    assert first.keys_secret and len(first.keys_secret.get_secret_value()) >= 32
    assert with_own_secret(values) == with_kept_secret(values) == first
    assert (values.home / NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in values.home.iterdir()] == [NAME]


def test_that_of_the_settings_wins(values: Settings) -> None:
    with_own_secret(values)
    own = values.model_copy(update={"keys_secret": SecretStr("s" * 16)})
    assert with_secret_for(own, MemoryStore()) == own


def test_keys_of_an_earlier_release_work_until_they_are_signed(values: Settings) -> None:
    store = MemoryStore()
    secret, key = ApiKeys(store, values).create("acme", "", EVERY_SCOPE)
    assert with_secret_for(values, store).keys_secret is None
    signing = with_own_secret(values)
    assert ApiKeys(store, signing).records.sign(key.id)
    assert with_secret_for(values, store) == signing
    assert ApiKeys(store, signing).principal(secret).tenant == "acme"


def test_a_file_that_cannot_be_the_secret_is_said(values: Settings) -> None:
    (values.home / NAME).write_text("short\n")
    with pytest.raises(InvalidOption, match="fewer than 16"):
        with_kept_secret(values)

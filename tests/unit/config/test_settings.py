"""Settings come from the environment, under our names and those of other tools."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from config.settings import Settings
from config.settings import settings as process_settings

URL = "redis://:hunter2@host:6379/3"


@pytest.mark.parametrize(
    ("variable", "field", "value"),
    [
        ("SCRIPTORIUM_REDIS_URL", "redis_url", URL),
        ("REDIS_URL", "redis_url", URL),
        ("CELERY_BROKER_URL", "redis_url", URL),
        ("SCRIPTORIUM_STORE_URL", "store_url", "s3://bucket"),
        ("SCRIPTORIUM_STORE", "store_url", "s3://bucket"),
        ("AWS_ENDPOINT_URL_S3", "s3_endpoint_url", "http://minio"),
        ("AWS_ENDPOINT_URL", "s3_endpoint_url", "http://minio"),
        ("HF_TOKEN", "hf_token", "hf_x"),
        ("SCRIPTORIUM_HOME", "home", "/home/x"),
        ("SCRIPTORIUM_MAX_ATTEMPTS", "max_attempts", "5"),
    ],
)
def test_a_variable_sets_its_field(
    monkeypatch: pytest.MonkeyPatch, variable: str, field: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    found = getattr(Settings(), field)
    assert str(found.get_secret_value() if isinstance(found, SecretStr) else found) == value


@pytest.mark.parametrize("other", ["REDIS_URL", "CELERY_BROKER_URL"])
def test_our_own_names_come_first(monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    monkeypatch.setenv(other, "redis://other")
    monkeypatch.setenv("SCRIPTORIUM_REDIS_URL", URL)
    assert Settings().redis_url == SecretStr(URL)
    assert Settings(redis_url=SecretStr("redis://given")).redis_url == SecretStr("redis://given")


@pytest.mark.parametrize("name", ["WEBHOOK_KEY", "API_KEY", "METRICS_PORT", "MODEL", "LOG_LEVEL"])
def test_an_empty_variable_is_one_that_nobody_has_set(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("SCRIPTORIUM_ALLOWED_MODELS")
    monkeypatch.setenv(f"SCRIPTORIUM_{name}", "")
    assert Settings() == Settings.model_construct()


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    values = Settings(redis_url=SecretStr(URL), hf_token=SecretStr("hf_hunter2"))
    for shown in (repr(values), str(values), str(values.model_dump()), values.model_dump_json()):
        assert "hunter2" not in shown


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().max_attempts = 9


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_attempts", 0),
        ("lease_seconds", 0),
        ("tenant", "No Spaces"),
        ("log_format", "xml"),
        ("log_level", "LOUD"),
        ("cpu_threads", -1),
    ],
)
def test_values_have_bounds(field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        Settings(**{field: value})


def test_every_setting_has_a_default_that_is_valid() -> None:
    assert Settings.model_validate(Settings().model_dump()) == Settings()


def test_a_lease_outlives_several_heartbeats() -> None:
    assert Settings().lease_seconds >= 3 * Settings().heartbeat_seconds


def test_the_process_reads_its_settings_once(monkeypatch: pytest.MonkeyPatch) -> None:
    process_settings.cache_clear()
    first = process_settings()
    monkeypatch.setenv("SCRIPTORIUM_MODEL", "tiny")
    assert process_settings() is first
    process_settings.cache_clear()
    assert process_settings().model == "tiny"
    process_settings.cache_clear()


def test_settings_survive_a_copy() -> None:
    values = Settings(home=Path("/x"))
    assert pickle.loads(pickle.dumps(values)) == values


@pytest.mark.parametrize("name", ["api_key", "keys_secret", "webhook_key", "hooks_secret"])
def test_a_secret_that_could_be_found_by_trying_is_refused(name: str) -> None:
    for short in ("x", "x" * 15):
        with pytest.raises(ValidationError, match=name):
            Settings.model_validate({name: short})
    assert getattr(Settings.model_validate({name: "x" * 16}), name)


def test_hosts_are_trusted_for_sources_or_for_webhooks_and_by_the_old_name_for_both() -> None:
    values = Settings(
        trusted_source_hosts="minio:9000", trusted_webhook_hosts="hooks", trusted_hosts="both"
    )
    assert set(values.source_hosts.split(",")) == {"minio:9000", "both"}
    assert set(values.webhook_hosts.split(",")) == {"hooks", "both"}


@pytest.mark.parametrize("field", ["message_tenants", "interactive_tenants"])
def test_the_cluster_s_own_tenant_needs_no_list(field: str) -> None:
    def allowed(listed: str, tenant: str) -> bool:
        values = Settings.model_validate({field: listed, "tenant": "own"})
        asked = values.may_name if field == "message_tenants" else values.may_hurry
        return asked(tenant)

    assert allowed("", "own") and not allowed("", "acme")
    assert allowed("a, acme", "acme") and not allowed("a, acme", "ac")
    assert allowed("*", "acme")


def test_a_process_without_the_key_may_accept_webhooks_that_another_one_signs() -> None:
    key = SecretStr("0123456789abcdef")
    assert not Settings(allow_urls=True).has_webhooks
    assert Settings(allow_urls=True, webhook_key=key).has_webhooks
    assert Settings(allow_urls=True, sends_webhooks=True).has_webhooks
    assert not Settings(sends_webhooks=True, webhook_key=key).has_webhooks


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quotas", {"acme": {"jobs_in_flite": 5}}),
        ("quotas", {"acme": {"weight": float("nan")}}),
        ("quotas", {"acme": {"weight": -1}}),
        ("quotas", {"acme": {"jobs_in_flight": float("inf")}}),
        ("quotas", {"acme": {"units_in_flight": float("nan")}}),
        ("quotas", {"Acme": {"weight": 2}}),
        ("budgets", {"acme ": {"audio_seconds_a_day": 5}}),
        ("retention", {"Acme": {"transcripts": 3650}}),  # so those of `*` would hold for acme
    ],
)
def test_limits_that_would_hold_for_no_tenant_or_limit_nothing_are_refused(
    field: str, value: dict[str, dict[str, float]]
) -> None:
    with pytest.raises(ValidationError, match=field):
        Settings.model_validate({field: value})


@pytest.mark.parametrize("owner", ["acme", "*", "_shadow"])
def test_limits_are_of_a_tenant_of_all_others_or_of_shadows(owner: str) -> None:
    values = Settings.model_validate(
        {
            "quotas": {owner: {"weight": 2, "bytes_in_flight": 1e9, "jobs_in_flight": 0}},
            "budgets": {owner: {"audio_seconds_a_day": 0}},
            "retention": {owner: {"audio": 1}},
        }
    )
    assert values.quotas[owner]["weight"] == 2

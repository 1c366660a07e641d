"""The chart's values: what is refused, what becomes of settings and secrets, what the page says."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import helm_python
import pytest
import yaml

from config.settings import TENANT_PATTERN, Settings
from orchestrator.triggers.rules import read_rules
from scripts.chart_readme import described_values, readme
from tests.deployment.chart import (
    CHART,
    VALUE_FILES,
    Object,
    containers,
    objects,
    of_kind,
    rendered,
    value_file,
    values_of,
    variables,
)

# Set by templates, from other values or to what pods and images have.
BY_TEMPLATES = frozenset(
    {
        *(
            "redis_url",
            "redis_password",
            "broker_url",
            "store_url",
            "s3_endpoint_url",
            "otlp_endpoint",
            "pools",
        ),
        *(
            "api_key",
            "keys_secret",
            "webhook_key",
            "sends_webhooks",
            "hooks_secret",
            "hf_token",
            "allow_anonymous",
        ),
        *("trigger_rules", "heartbeat_file", "metrics_port", "metrics_dir", "work_dir"),
        *("api_host", "api_port", "worker_pool", "model_dir", "notice_seconds", "node"),
        "component",
    }
)
OF_ONE_MACHINE = frozenset({"home", "flower_port", "flower_password"})  # of `scriptorium up`
NAMES = {  # that settings have besides SCRIPTORIUM_<FIELD>
    str(choice)
    for field in Settings.model_fields.values()
    for choice in getattr(field.validation_alias, "choices", ())
}


def snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", name)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("redisUrl", "redis://x"),
        ("api.replica", 3),
        ("api.ingress.host", "x"),
        ("store.bucket", "x"),
        ("settings.modell", "tiny"),
        ("workers.gpu.replica", 2),
        ("workers.gpu.gpu.counts", 1),
        ("workers.cpu.gpu", {"count": 1}),
        ("workerDefaults.gpu.tolerate", []),
        ("keda.fallback.replica", 1),
        ("monitoring.dashboard", {}),
        ("serviceAccounts.worker", {}),
        ("networkPolicy.from", []),
    ],
)
def test_a_key_that_the_schema_does_not_know_is_refused(path: str, value: object) -> None:
    values = with_value(values_of(), path, value)
    with pytest.raises(helm_python.HelmValuesError, match=path.rpartition(".")[2]):
        rendered(values)
    report = helm_python.lint(CHART, values)
    assert report["errors"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("api.replicas", "two"),
        ("api.replicas", -1),
        ("api.service.type", "Loadbalancer"),
        ("store.url", "http://bucket"),
        ("settings.maxRetries", "many"),
        ("settings.logFormat", "xml"),
        ("settings.model", 3),
        ("workers.gpu.kind", "tpu"),
        ("workers.gpu.stages", ["prepare"]),
        ("workers.gpu.share", 0),
        ("workers.gpu.gpu.count", 2),
        ("workers.GPU", {"kind": "gpu"}),
        ("workers.fast", {"replicas": 1}),
        ("workers.gpu.resources", {"limits": {"memory": "16 GB"}}),
        ("keda.fallback.replicas", 0),
        ("images.gpuWorker.digest", "abc"),
        ("commonLabels", {"version": 1}),
    ],
)
def test_a_value_of_another_type_or_range_is_refused(path: str, value: object) -> None:
    with pytest.raises(helm_python.HelmValuesError):
        rendered(with_value(values_of(), path, value))


def with_value(values: Object, path: str, value: object) -> Object:
    *parents, last = path.split(".")
    inner = values
    for name in parents:
        inner = inner.setdefault(name, {})
    inner[last] = value
    return values


def test_every_default_is_in_the_schema_with_its_keys() -> None:
    """Nothing is there by default that a user could not write."""
    rendered(yaml.safe_load((CHART / "values.yaml").read_text()) | values_of())


def test_every_setting_has_its_place_in_the_chart() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    free = {snake(name) for name in schema["properties"]["settings"]["properties"]}
    assert free | BY_TEMPLATES | OF_ONE_MACHINE == set(Settings.model_fields)
    assert not free & BY_TEMPLATES


@pytest.mark.parametrize("name", [path.stem for path in VALUE_FILES])
def test_every_variable_is_one_that_a_process_reads(name: str) -> None:
    found = objects(value_file(name))
    known = NAMES | {f"SCRIPTORIUM_{field.upper()}" for field in Settings.model_fields}
    told = {one for owner in of_kind(found, "Deployment") for one in variables(found, owner)}
    assert {one for one in told if one.startswith("SCRIPTORIUM_")} <= known
    assert "SCRIPTORIUM_STORE_URL" in told


@pytest.mark.parametrize("name", [path.stem for path in VALUE_FILES])
def test_every_component_can_read_its_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = objects(value_file(name))
    for owner in of_kind(found, "Deployment"):
        if owner.endswith("-redis"):
            continue
        with monkeypatch.context() as environment:
            for variable, value in variables(found, owner).items():
                environment.setenv(variable, value if isinstance(value, str) else "7" * 16)
            values = Settings()
        assert values.redis_url is not None
        if name == "everything" and not owner.endswith("-flower"):
            assert values.max_source_bytes == 8 * 1024**3  # Helm has it as a float
            assert values.quotas["acme"]["source_bytes"] == 1e9
            assert values.budgets["acme"]["audio_seconds_a_day"] == 3.6e6
            assert values.prices["device_hour"]["NVIDIA H200"] == 3.2
            assert values.redelivery_factor == 0.5
            assert values.trial == {"share": 0.1, "compute_type": "int8_float16"}
            assert values.shadow == {"share": 0.05, "model": "large-v3"}
            assert values.allow_urls


def test_secrets_are_read_from_secrets_and_told_to_those_who_need_them() -> None:
    everything = copy.deepcopy(value_file("everything"))
    for name, text in rendered(everything).items():
        if "secret" not in name:
            assert "not-a-real" not in text, name
    found = objects(everything)
    made = of_kind(found, "Secret")["demo-speech-secrets"]["stringData"]
    assert set(made) == {"redis-password", "aws-access-key-id", "aws-secret-access-key", "api-key"}
    api, worker = (variables(found, f"demo-speech-{one}") for one in ("api", "worker-gpu"))
    assert api["SCRIPTORIUM_API_KEY"]["secretKeyRef"] == {
        "name": "demo-speech-secrets",
        "key": "api-key",
    }
    assert api["SCRIPTORIUM_WEBHOOK_KEY"]["secretKeyRef"]["name"] == "scriptorium-keys"
    assert worker["HF_TOKEN"]["secretKeyRef"]["name"] == "hub"
    assert not {"SCRIPTORIUM_API_KEY", "SCRIPTORIUM_WEBHOOK_KEY"} & set(worker)
    assert "HF_TOKEN" not in api
    assert "SCRIPTORIUM_WEBHOOK_KEY" in variables(found, "demo-speech-reconciler")
    trigger = variables(found, "demo-speech-triggers-celery")
    assert trigger["SCRIPTORIUM_SENDS_WEBHOOKS"] == "true"
    assert "SCRIPTORIUM_WEBHOOK_KEY" not in trigger
    assert "AWS_ACCESS_KEY_ID" not in variables(found, "demo-speech-flower")


def test_with_existing_secrets_the_chart_makes_none_and_a_value_beside_one_does_not_count() -> None:
    values = values_of("external")
    values["api"]["key"]["value"] = "not-a-real-key"
    assert not of_kind(objects(values), "Secret")
    assert not any("not-a-real" in text for text in rendered(values).values())
    api = variables(objects(values), "demo-scriptorium-api")
    for variable in ("SCRIPTORIUM_REDIS_URL", "SCRIPTORIUM_BROKER_URL", "AWS_SECRET_ACCESS_KEY"):
        assert set(api[variable]) == {"secretKeyRef"}, variable


def test_a_password_is_never_a_part_of_a_command() -> None:
    for name, container in containers(objects(value_file("everything"))):
        words = json.dumps([container.get("command"), container.get("args")])
        assert "not-a-real" not in words, name


def test_the_rules_of_triggers_arrive_as_they_were_written(tmp_path: Any) -> None:
    found = objects(value_file("everything"))
    rules = of_kind(found, "ConfigMap")["demo-speech-rules"]["data"]["rules.toml"]
    path = tmp_path / "rules.toml"
    path.write_text(rules, encoding="utf-8")
    read = read_rules(path, Settings(store_url="s3://scriptorium/artifacts"))
    assert [rule.bucket for rule in read.rules] == ["recordings"]
    for owner in ("api", "triggers-sqs"):
        told = variables(found, f"demo-speech-{owner}")
        assert told["SCRIPTORIUM_TRIGGER_RULES"] == "/etc/scriptorium/rules.toml"


def test_the_page_of_the_chart_is_up_to_date() -> None:
    page = (CHART / "README.md").read_text(encoding="utf-8")
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    assert page == readme(page, values), "run: python -m scripts.chart_readme"
    assert len(described_values(values)) > 100


def test_a_value_without_a_comment_is_refused() -> None:
    with pytest.raises(ValueError, match=r"line 3: api\.replicas has no comment"):
        described_values("## Front\napi:\n  replicas: 2\n")


def test_the_chart_takes_the_same_names_of_tenants_as_the_settings() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    pattern = schema["properties"]["settings"]["properties"]["tenant"]["pattern"]
    assert pattern == TENANT_PATTERN
    ours = Settings.model_json_schema()["properties"]
    for name in ("quotas", "retention", "budgets"):
        named = schema["properties"]["settings"]["properties"][name]
        (owners,) = ours[name]["patternProperties"]
        assert named["propertyNames"] == {"pattern": owners}
    (limits,) = ours["quotas"]["patternProperties"][owners]["patternProperties"]
    quotas = schema["properties"]["settings"]["properties"]["quotas"]
    assert list(quotas["additionalProperties"]["patternProperties"]) == [limits]


USERS = {
    "api": "api", "reconciler": "reconciler", "triggers-celery": "triggers",
    "triggers-sqs": "triggers",
    "flower": "flower", "worker-cpu": "worker", "worker-gpu": "worker",
}  # fmt: skip


def test_each_component_has_its_own_user_in_redis_and_speaks_tls() -> None:
    values = copy.deepcopy(value_file("everything"))
    values["redis"] |= {"users": {"existingSecret": "users"}, "tls": {"existingSecret": "tls"}}
    found = objects(values)
    for owner, user in USERS.items():
        told = variables(found, f"demo-speech-{owner}")
        assert told["SCRIPTORIUM_REDIS_URL"] == (
            f"rediss://{user}@demo-speech-redis:6379/0?ssl_ca_certs=/etc/redis-ca/ca.crt"
        )
        assert told["SCRIPTORIUM_REDIS_PASSWORD"]["secretKeyRef"] == {"name": "users", "key": user}
        spec = of_kind(found, "Deployment")[f"demo-speech-{owner}"]["spec"]["template"]["spec"]
        (volume,) = [one for one in spec["volumes"] if one["name"] == "redis-ca"]
        assert volume["secret"]["secretName"] == "tls"
        assert [item["key"] for item in volume["secret"]["items"]] == ["ca.crt"]  # not the key
    config = of_kind(found, "ConfigMap")["demo-speech-redis"]["data"]["redis.conf"]
    assert "port 0\ntls-port 6379\n" in config


def test_an_external_redis_may_have_a_url_for_each_component() -> None:
    values = values_of("external")
    values["externalRedis"] |= {
        "users": {"worker": {"existingSecret": "of-workers"}},
        "tls": {"existingSecret": "authority"},
    }
    found = objects(values)
    names = {
        owner: variables(found, owner)["SCRIPTORIUM_REDIS_URL"]["secretKeyRef"]["name"]
        for owner in of_kind(found, "Deployment")
    }
    assert {name for owner, name in names.items() if "-worker-" in owner} == {"of-workers"}
    assert {name for owner, name in names.items() if "-worker-" not in owner} == {"redis-access"}

"""GET /v1/usage: a tenant sees its own, an operator everything."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx2
import pytest
from fastapi.testclient import TestClient
from redis import Redis

from config.settings import Settings
from orchestrator.access import Scope
from orchestrator.access.keys import ApiKeys
from orchestrator.api.application import make_application
from orchestrator.cluster.connection import Cluster, open_cluster
from tasks.runs import usage_keys
from tests.inputs.examples import TENANT
from tests.unit.orchestrator.usage.records import a_record

HOST = "http://127.0.0.1"


def write_use(cluster: Cluster) -> None:
    for tenant in ("acme", "bolt", "bolt"):
        count = len(list(cluster.store.list(usage_keys.RUNS)))
        record = a_record(f"job-{count}", tenant=tenant, ended_at=time.time())
        cluster.store.put(usage_keys.used(record.run), record.to_bytes())


@pytest.fixture
def http(connection: Cluster) -> Iterator[TestClient]:
    write_use(connection)
    with TestClient(make_application(connection), base_url=HOST) as client:
        yield client


def asked(
    http: TestClient, scope: Scope, holder: str = "acme", /, **params: str
) -> httpx2.Response:
    """The reply to a key of the holder, a tenant, with one scope."""
    keys: ApiKeys = http.app.state.keys  # type: ignore[attr-defined]
    secret, _ = keys.create(holder, "test", frozenset({scope}))
    headers = {"Authorization": f"Bearer {secret}"}
    return http.get("/v1/usage", params=params, headers=headers)


def test_a_tenant_s_key_sees_its_own_tenant(http: TestClient) -> None:
    reply = asked(http, Scope.READ, by="tenant").json()
    assert [(row["tenant"], row["runs"]) for row in reply["data"]] == [("acme", 1)]
    assert reply["total"]["audio_seconds"] == 40.0
    assert asked(http, Scope.READ, tenant="acme", by="tenant").json() == reply
    assert asked(http, Scope.READ, "carol", by="tenant").json()["data"] == []


def test_it_cannot_ask_for_another_one(http: TestClient) -> None:
    reply = asked(http, Scope.READ, tenant="bolt")
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "not_allowed")


def test_an_operator_s_key_sees_every_tenant_and_may_ask_for_one(http: TestClient) -> None:
    reply = asked(http, Scope.OPERATE, by="tenant").json()
    assert [(row["tenant"], row["runs"]) for row in reply["data"]] == [("acme", 1), ("bolt", 2)]
    reply = asked(http, Scope.OPERATE, "ops", tenant="bolt", by="stage").json()
    assert [row["stage"] for row in reply["data"]] == ["prepare", "transcribe"]
    assert reply["total"]["runs"] == 2


def test_csv_is_one_line_for_each_row(http: TestClient) -> None:
    reply = asked(http, Scope.OPERATE, by="tenant", format="csv")
    assert reply.headers["content-type"].startswith("text/csv")
    names, acme, bolt = reply.text.splitlines()
    assert names.startswith("tenant,runs,audio_seconds,") and acme.startswith("acme,1,40.0,")
    assert bolt.startswith("bolt,2,80.0,")


@pytest.mark.parametrize(
    ("params", "status"),
    [({"from": "yesterday"}, 400), ({"by": "label"}, 422), ({"format": "xml"}, 422),
     ({"tenant": "../x"}, 422), ({"from": "2026-02-01", "to": "2026-01-01"}, 400)],
)  # fmt: skip
def test_what_cannot_be_asked_is_told(
    http: TestClient, params: dict[str, str], status: int
) -> None:
    assert asked(http, Scope.OPERATE, **params).status_code == status


def test_a_spent_budget_refuses_a_submission_with_its_code(
    settings: Settings, redis: Redis
) -> None:
    budgets = {TENANT: {"audio_seconds_a_month": 40.0}}
    cluster = open_cluster(settings.model_copy(update={"budgets": budgets}))
    record = a_record(tenant=TENANT, ended_at=time.time())
    cluster.store.put(usage_keys.used(record.run), record.to_bytes())
    with TestClient(make_application(cluster), base_url=HOST) as http:
        reply = http.post("/v1/jobs", files={"file": ("talk.wav", b"RIFF")})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (402, "budget_spent")
    assert error["type"] == "budget_error" and "in this month" in error["message"]
    assert list(cluster.store.list("tenants/")) == []
    cluster.close()

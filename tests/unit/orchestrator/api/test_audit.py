"""Who did what over HTTP is in the audit trail, by the real application."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from redis import Redis

from config.settings import Settings
from gpu_worker.errors import StoreUnavailable
from orchestrator.access import EVERY_SCOPE
from orchestrator.access.keys import ApiKeys
from orchestrator.api.application import make_application
from orchestrator.api.audited import ACTIONS, Kind, is_kept
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.trail.entry import FOLDER, Entry
from orchestrator.trail.reading import Wanted, entries
from tests.unit.orchestrator.api.test_access import FORM, HOST, ROUTES

# Routes that enter nothing: they show no tenant's data, or have a trail of their own.
NOT_AUDITED = {
    "GET /v1/models",
    "GET /v1/models/{model:path}",
    "GET /v1/autoscale",
    "GET /v1/autoscale/{pool}",
    "GET /v1/session",
    "DELETE /v1/session",
    "GET /metrics",
    *(name for name in ROUTES if "/v1/hooks" in name),  # the jobs of triggers are entered
    *(name for name in ROUTES if name.split()[1] in ("/", "/healthz", "/readyz", "/openapi.json")),
    *(name for name in ROUTES if name.split()[1].startswith(("/docs", "/page"))),
}


@contextmanager
def opened(settings: Settings, **changes: Any) -> Iterator[tuple[Cluster, TestClient, str]]:
    """An application, with a client that sends a key, and the key's id."""
    cluster = open_cluster(settings.model_copy(update=changes))
    try:
        secret, key = ApiKeys(cluster.store, cluster.settings).create("anna", "", EVERY_SCOPE)
        headers = {"Authorization": f"Bearer {secret}"}
        application = make_application(cluster)
        with TestClient(application, base_url=HOST, headers=headers) as client:
            yield cluster, client, key.id
    finally:
        cluster.close()


def trail(cluster: Cluster, *, flush: bool = True, **wanted: str) -> list[Entry]:
    if flush:
        cluster.trail.flush()
    today = datetime.now(UTC).date()
    first = today - timedelta(days=1)  # midnight may pass in a test
    return list(entries(cluster.store, first, today, Wanted(**wanted)))


def test_every_route_is_audited_or_said_not_to_be() -> None:
    assert set(ACTIONS) | NOT_AUDITED == set(ROUTES)
    assert not set(ACTIONS) & NOT_AUDITED


def test_a_job_s_life_is_told_with_who_and_from_where(settings: Settings, redis: Redis) -> None:
    with opened(settings) as (cluster, client, key):
        job = client.post("/v1/jobs", **FORM).json()["id"]
        client.get(f"/v1/jobs/{job}/transcript?format=srt")
        client.post(f"/v1/jobs/{job}/cancel", headers={"X-Forwarded-For": "203.0.113.9"})
        again = client.post(f"/v1/jobs/{job}/rerun", json={"language": "de"})
        client.put(f"/v1/jobs/{job}/speakers", json={"SPEAKER_00": "Secret Name"})
        line = {"segment": 0, "start": 0.0, "action": "corrected", "text": "Secret Name"}
        client.put(f"/v1/jobs/{job}/corrections", json={"run": 1, "version": 0, "lines": [line]})
        assert trail(cluster, flush=False) == []  # no request of the store for a request
        client.delete(f"/v1/jobs/{job}")
        assert [it.action for it in trail(cluster, flush=False)] == ["job.delete"]
        found = trail(cluster, job=job)
        text = b"".join(cluster.store.get(key) for key in cluster.store.list(FOLDER))
    expected = [
        *("job.submit", "job.export", "job.cancel", "speakers.rename", "corrections.change"),
        "job.delete",
    ]
    if again.status_code == 202:
        expected.insert(3, "job.rerun")
    told = [it.action for it in found if it.action != "job.rerun" or again.status_code == 202]
    assert told == expected
    assert {(it.tenant, it.by, it.origin) for it in found} == {("anna", f"key:{key}", "testclient")}
    assert found[0].outcome == "202" and found[1].details == {"format": "srt"}
    assert found[2].details["forwarded_for"] == "203.0.113.9"
    assert b"Secret Name" not in text and b"a.wav" not in text


def test_keys_are_in_the_store_before_the_reply(settings: Settings, redis: Redis) -> None:
    with opened(settings) as (cluster, client, _):
        made = client.post("/v1/admin/keys", json={"name": "new", "scopes": ["read"]}).json()
        (entry,) = trail(cluster, flush=False)
        assert (entry.action, entry.outcome) == ("key.create", "201")
        assert entry.details == {"key": made["id"], "scopes": ["read"]}
        client.delete(f"/v1/admin/keys/{made['id']}")
        entry = trail(cluster, flush=False)[-1]
        assert (entry.action, entry.details) == ("key.revoke", {"key": made["id"]})
        text = b"".join(cluster.store.get(key) for key in cluster.store.list(FOLDER))
        assert made["key"].encode() not in text


@pytest.mark.parametrize(
    ("reads", "expected"),
    [
        ("none", set[str]()),
        ("contents", {"job.export"}),
        ("all", {"job.export", "job.show", "job.list"}),
    ],
)
def test_reads_are_switched_by_a_setting(
    settings: Settings, redis: Redis, reads: str, expected: set[str]
) -> None:
    with opened(settings, audit_reads=reads) as (cluster, client, _):
        client.get("/v1/jobs")
        client.get("/v1/jobs/some")
        client.get("/v1/jobs/some/transcript")
        assert {it.action for it in trail(cluster)} == expected
    assert is_kept(Kind.LASTING, reads) and is_kept(Kind.CHANGE, reads)


def test_a_wrong_key_enters_nothing_and_a_log_in_does(settings: Settings, redis: Redis) -> None:
    with opened(settings) as (cluster, client, key):
        wrong = {"Authorization": "Bearer scr_" + "x" * 43}
        assert client.delete("/v1/jobs/some", headers=wrong).status_code == 401
        assert client.post("/v1/session", json={"key": "wrong"}).status_code == 401
        assert trail(cluster) == []
        secret = client.headers["Authorization"].removeprefix("Bearer ")
        assert client.post("/v1/session", json={"key": secret}).status_code == 204
        (entry,) = trail(cluster)
    assert (entry.action, entry.by) == ("session.open", f"key:{key}")


def test_what_was_refused_is_told_with_its_status(settings: Settings, redis: Redis) -> None:
    with opened(settings) as (cluster, client, _):
        client.delete("/v1/jobs/of-another")
        assert [(it.action, it.outcome) for it in trail(cluster)] == [("job.delete", "404")]


def test_a_store_that_is_away_delays_the_entry_and_not_the_reply(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(settings) as (cluster, client, _):
        put = cluster.store.put

        def refusing(key: str, data: bytes) -> bool:
            if key.startswith(FOLDER):
                raise StoreUnavailable("away")
            return put(key, data)

        monkeypatch.setattr(cluster.store, "put", refusing)
        assert client.delete("/v1/jobs/some").status_code == 404
        monkeypatch.undo()
        assert [it.action for it in trail(cluster)] == ["job.delete"]

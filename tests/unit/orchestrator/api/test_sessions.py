"""The page's session over HTTP, and who is taken for a program of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from config.settings import Settings
from orchestrator.access import EVERY_SCOPE
from orchestrator.access.keys import ApiKeys
from orchestrator.api.application import make_application
from orchestrator.api.cookies import COOKIE, SECURE_COOKIE
from orchestrator.api.routes import health
from orchestrator.cluster.connection import Cluster, open_cluster
from tasks.artifacts.opening import open_store
from tests.unit.orchestrator.api.test_access import FORM, HOST, House, code, house

__all__ = ["house"]

TLS = {"Origin": "https://scriptorium.example", "Host": "scriptorium.example"}


def logged_in(house: House) -> str:
    """Log a browser in; return its key."""
    secret = house.key("anna")["Authorization"].removeprefix("Bearer ")
    assert house.http.post("/v1/session", json={"key": secret}).status_code == 204
    return secret


def test_the_cookie_holds_a_token_that_is_no_key(house: House) -> None:
    secret = logged_in(house)
    token = house.http.cookies[COOKIE]
    assert token.startswith("ses_") and secret not in token
    assert house.http.get("/v1/jobs").status_code == 200
    house.http.cookies.clear()
    for headers in ({"X-API-Key": token}, {"Authorization": f"Bearer {token}"}):
        assert house.http.get("/v1/jobs", headers=headers).status_code == 401


def test_behind_tls_the_cookie_is_of_this_host_alone(house: House) -> None:
    secret = house.key("anna")["Authorization"].removeprefix("Bearer ")
    reply = house.http.post("/v1/session", json={"key": secret}, headers=TLS)
    cookie = reply.headers["Set-Cookie"]
    assert reply.status_code == 204 and cookie.startswith(f"{SECURE_COOKIE}=")
    assert "Secure" in cookie and "Path=/" in cookie and "Domain" not in cookie
    token = cookie.partition("=")[2].partition(";")[0]
    safe, plain = {"Cookie": f"{SECURE_COOKIE}={token}"}, {"Cookie": f"{COOKIE}={token}"}
    proxied = {"X-Forwarded-Proto": "https"}
    assert house.http.get("/v1/jobs", headers=safe | proxied).status_code == 200
    assert house.http.get("/v1/jobs", headers=safe).status_code == 200
    assert house.http.get("/v1/jobs", headers=plain | proxied).status_code == 401  # planted


def test_a_log_out_ends_the_session_itself(house: House) -> None:
    logged_in(house)
    stolen = {"Cookie": f"{COOKIE}={house.http.cookies[COOKIE]}"}
    assert house.http.get("/v1/jobs", headers=stolen).status_code == 200
    assert house.http.delete("/v1/session").status_code == 204
    assert COOKIE not in house.http.cookies
    assert house.http.get("/v1/jobs", headers=stolen).status_code == 401


def test_a_session_ends_with_its_key(house: House) -> None:
    logged_in(house)
    (key,) = house.keys.list()
    assert house.http.get("/v1/jobs").status_code == 200
    assert house.keys.revoke(key.id)
    assert house.http.get("/v1/jobs").status_code == 401


def test_the_cookie_of_an_earlier_release_becomes_a_session(house: House) -> None:
    from base64 import urlsafe_b64encode

    secret = house.key("anna")["Authorization"].removeprefix("Bearer ")
    house.http.cookies.set(COOKIE, urlsafe_b64encode(secret.encode()).decode().rstrip("="))
    reply = house.http.get("/v1/session")
    assert reply.json()["tenant"] == "anna"
    assert f"{COOKIE}=ses_" in reply.headers["Set-Cookie"]


PROXIED: list[dict[str, str]] = [
    {"X-Forwarded-For": "203.0.113.7"},
    {"Forwarded": "for=203.0.113.7"},
    {"X-Real-IP": "203.0.113.7"},
    {"Via": "1.1 proxy"},
]


@pytest.mark.parametrize("headers", PROXIED)
def test_what_came_through_a_proxy_is_not_of_this_machine(
    house: House, headers: dict[str, str]
) -> None:
    assert house.http.get("/v1/jobs").status_code == 200
    assert house.http.get("/v1/jobs", headers=headers).status_code == 401
    assert house.http.post("/v1/jobs", headers=headers, **FORM).status_code == 401
    key = house.key("anna")
    assert house.http.get("/v1/jobs", headers=headers | key).status_code == 200


@pytest.fixture
def at_home(settings: Settings) -> Iterator[Settings]:
    settings.home.mkdir()
    yield settings


def test_anonymous_access_has_ended_though_the_store_was_emptied(
    at_home: Settings, connection: Cluster
) -> None:
    with TestClient(make_application(connection), base_url=HOST) as http:
        assert http.get("/v1/jobs").status_code == 200
    keys = ApiKeys(connection.store, at_home)
    keys.create("anna", "", EVERY_SCOPE)
    for name in list(connection.store.list("api-keys")):
        connection.store.delete(name)
    with TestClient(make_application(connection), base_url=HOST) as http:
        assert http.get("/v1/jobs").status_code == 401
    (mark,) = (at_home.home / "keys-were-made").iterdir()
    assert mark.stat().st_mode & 0o777 == 0o600
    other = open_store((at_home.home / "other").as_uri())
    assert not ApiKeys(other, at_home).exist()


@pytest.mark.parametrize("body", [b"{}", b'{"name": "a", "size": 1}', b"[" * 1000])
def test_no_body_is_read_before_the_key_is_known(house: House, body: bytes) -> None:
    owner, read = house.key("anna"), []

    def pieces() -> Iterator[bytes]:
        read.append(True)
        yield body

    kind = {"Content-Type": "application/json"}
    for path in ("/v1/uploads", "/v1/admin/keys", "/v1/jobs/x/rerun"):
        refused = house.http.post(path, content=pieces(), headers=kind)
        assert code(refused) == (401, "not_authenticated")
    refused = house.http.put("/v1/jobs/x/speakers", content=body, headers=kind)
    assert code(refused) == (401, "not_authenticated")
    assert house.http.post("/v1/uploads", content=body, headers=owner | kind).status_code != 401


def test_a_log_in_reads_little(house: House) -> None:
    house.key("anna")
    reply = house.http.post("/v1/session", json={"key": "x" * 10_000})
    assert code(reply) == (413, "body_too_large")


def test_readiness_is_asked_for_once_a_second(
    house: House, connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    size = type(connection.store).size

    def counted(store: Any, key: str) -> int | None:
        asked.append(key)
        return size(store, key)

    monkeypatch.setattr(type(connection.store), "size", counted)
    monkeypatch.setattr(health, "READY_SECONDS", 60.0)
    assert {house.http.get("/readyz").status_code for _ in range(50)} == {200}
    assert asked.count("readyz") == 1


def test_a_tenants_administrator_makes_a_bounded_number_of_keys(
    settings: Settings, connection: Cluster
) -> None:
    few = open_cluster(settings.model_copy(update={"tenant_keys": 2}))
    with TestClient(make_application(few), base_url=HOST) as http:
        secret, _ = ApiKeys(few.store, few.settings).create("anna", "", EVERY_SCOPE)
        owner = {"X-API-Key": secret}
        replies = [http.post("/v1/admin/keys", json={"name": "x"}, headers=owner) for _ in "123"]
        assert [reply.status_code for reply in replies] == [201, 409, 409]
        assert code(replies[1]) == (409, "too_many_keys")
    few.close()


def test_another_tenants_key_is_not_there_whatever_is_asked(house: House) -> None:
    owner, stranger = house.key("anna"), house.key("boris")
    (mine,) = (key for key in house.keys.list() if key.tenant == "anna")
    for key_id in (mine.id, mine.id[:6], "0" * 12, "..........%0a%00"):
        reply = house.http.delete(f"/v1/admin/keys/{key_id}", headers=stranger)
        assert code(reply) == (404, "unknown_key")
    assert house.http.get("/v1/jobs", headers=owner).status_code == 200


def test_too_many_wrong_keys_of_one_address_are_refused_unseen(
    settings: Settings, connection: Cluster
) -> None:
    values = {"wrong_keys_per_minute": 3, "api_key": SecretStr("k" * 16)}
    guarded = open_cluster(settings.model_copy(update=values))
    application = make_application(guarded)
    right = {"X-API-Key": "k" * 16}
    with TestClient(application, base_url=HOST, client=("192.0.2.1", 5)) as http:
        statuses = [http.get("/v1/jobs", headers={"X-API-Key": "x"}).status_code for _ in "12345"]
        assert statuses == [401, 401, 401, 429, 429]
        refused = http.get("/v1/jobs", headers=right)
        assert code(refused) == (429, "too_many_wrong_keys") and refused.headers["Retry-After"]
        assert http.post("/v1/session", json={"key": "k" * 16}).status_code == 429
        assert http.get("/v1/jobs").status_code == 401
    with TestClient(application, base_url=HOST, client=("192.0.2.2", 5)) as http:
        assert http.get("/v1/jobs", headers=right).status_code == 200
    guarded.close()

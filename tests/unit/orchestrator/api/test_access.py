"""Who may do what: every route of the application, by tenant, by scope and by who asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.testclient import TestClient
from pydantic import SecretStr
from redis import Redis

from config.settings import Settings
from orchestrator.access import EVERY_SCOPE, Scope
from orchestrator.access.keys import ApiKeys
from orchestrator.api.application import make_application
from orchestrator.cluster.connection import Cluster, open_cluster
from tests.inputs.examples import TENANT

HOST = "http://127.0.0.1"
FORM: dict[str, Any] = {"files": {"file": ("a.wav", b"x")}}
AUDIO: dict[str, Any] = FORM | {"data": {"model": "no-such-model"}}
COLLECTION: dict[str, Any] = {"json": {"lines": ["s3://calls/a.wav"]}}
CORRECTION: dict[str, Any] = {
    "json": {
        "run": 1,
        "version": 0,
        "lines": [{"segment": 0, "start": 0.0, "action": "confirmed"}],
    }
}
OPEN = None  # for everybody, with or without a key

# Every route, the scope it needs, and a request that gets past its form.
ROUTES: dict[str, tuple[Scope | None, dict[str, Any]]] = {
    "POST /v1/jobs": (Scope.WRITE, FORM),
    "GET /v1/jobs": (Scope.READ, {}),
    "GET /v1/jobs/{job}": (Scope.READ, {}),
    "DELETE /v1/jobs/{job}": (Scope.WRITE, {}),
    "POST /v1/jobs/{job}/cancel": (Scope.WRITE, {}),
    "POST /v1/jobs/{job}/retry": (Scope.WRITE, {}),
    "POST /v1/jobs/{job}/rerun": (Scope.WRITE, {"json": {}}),
    "GET /v1/jobs/{job}/events": (Scope.READ, {}),
    "GET /v1/jobs/{job}/transcript": (Scope.READ, {}),
    "GET /v1/jobs/{job}/subtitle-report": (Scope.READ, {"params": {"profile": "netflix"}}),
    "GET /v1/jobs/{job}/audio": (Scope.READ, {}),
    "HEAD /v1/jobs/{job}/audio": (Scope.READ, {}),
    "GET /v1/jobs/{job}/speakers": (Scope.READ, {}),
    "PUT /v1/jobs/{job}/speakers": (Scope.WRITE, {"json": {}}),
    "GET /v1/jobs/{job}/corrections": (Scope.READ, {}),
    "PUT /v1/jobs/{job}/corrections": (Scope.WRITE, CORRECTION),
    "GET /v1/vocabularies": (Scope.READ, {}),
    "GET /v1/vocabularies/{vocabulary}": (Scope.READ, {}),
    "PUT /v1/vocabularies/{vocabulary}": (Scope.WRITE, {"json": {}}),
    "DELETE /v1/vocabularies/{vocabulary}": (Scope.WRITE, {}),
    "POST /v1/collections": (Scope.WRITE, COLLECTION),
    "GET /v1/collections": (Scope.READ, {}),
    "GET /v1/collections/{collection}": (Scope.READ, {}),
    "GET /v1/collections/{collection}/lines": (Scope.READ, {}),
    "POST /v1/collections/{collection}/cancel": (Scope.WRITE, {}),
    "POST /v1/collections/{collection}/retry": (Scope.WRITE, {"json": {}}),
    "DELETE /v1/collections/{collection}": (Scope.WRITE, {}),
    "POST /v1/uploads": (Scope.WRITE, {"json": {"name": "a.wav", "size": 1}}),
    "PUT /v1/uploads/{upload}": (Scope.WRITE, {"content": b"x"}),
    "POST /v1/audio/transcriptions": (Scope.WRITE, AUDIO),
    "POST /v1/audio/translations": (Scope.WRITE, AUDIO),
    "GET /v1/models": (Scope.READ, {}),
    "GET /v1/models/{model:path}": (Scope.READ, {}),
    "GET /v1/webhooks/secret": (Scope.WRITE, {}),
    "GET /v1/admin/keys": (Scope.ADMIN, {}),
    "POST /v1/admin/keys": (Scope.ADMIN, {"json": {"name": "new"}}),
    "DELETE /v1/admin/keys/{key}": (Scope.ADMIN, {}),
    "GET /v1/admin/dead-letters": (Scope.ADMIN, {}),
    "GET /v1/usage": (Scope.READ, {}),
    "GET /v1/autoscale": (Scope.OPERATE, {}),
    "GET /v1/autoscale/{pool}": (Scope.OPERATE, {}),
    "GET /v1/session": (OPEN, {}),
    "POST /v1/session": (OPEN, {"json": {"key": "wrong"}}),
    "DELETE /v1/session": (OPEN, {}),
    # These ask for the hook's own secret.
    "GET /v1/hooks/s3": (OPEN, {}),
    "HEAD /v1/hooks/s3": (OPEN, {}),
    "POST /v1/hooks/s3": (OPEN, {"json": {}}),
    "GET /metrics": (Scope.OPERATE, {}),
    "GET /healthz": (OPEN, {}),
    "GET /readyz": (OPEN, {}),
    "GET /openapi.json": (OPEN, {}),
    "HEAD /openapi.json": (OPEN, {}),
    "GET /docs": (OPEN, {}),
    "GET /docs/start.js": (OPEN, {}),
    "GET /docs/{name}": (OPEN, {}),
    "GET /": (OPEN, {}),
    "HEAD /": (OPEN, {}),
    "GET /page/{name:path}": (OPEN, {}),
    "HEAD /page/{name:path}": (OPEN, {}),
}
GUARDED = {name: scope for name, (scope, _) in ROUTES.items() if scope is not None}
OTHER_SCOPES = {"GET /v1/usage": {Scope.OPERATE}}  # that are enough too
IDS = ("{job}", "{upload}", "{key}", "{collection}")  # a vocabulary is named by its tenant
FOREIGN = [name for name in ROUTES if any(part in name for part in IDS)]


@dataclass
class House:
    """One application, and the secret keys of two tenants."""

    application: FastAPI
    http: TestClient

    @property
    def keys(self) -> ApiKeys:
        found: ApiKeys = self.application.state.keys
        return found

    def key(self, tenant: str, *scopes: Scope) -> dict[str, str]:
        secret, _ = self.keys.create(tenant, "test", frozenset(scopes or EVERY_SCOPE))
        return {"Authorization": f"Bearer {secret}"}

    def ask(self, name: str, headers: dict[str, str], /, **ids: str) -> httpx2.Response:
        method, _, path = name.partition(" ")
        for part, value in ids.items():
            path = path.replace(f"{{{part}}}", value)
        path = path.replace("{model:path}", "pico")
        return self.http.request(method, path, headers=headers, **ROUTES[name][1])


@pytest.fixture
def house(connection: Cluster) -> Iterator[House]:
    application = make_application(connection)
    with TestClient(application, base_url=HOST) as client:
        yield House(application, client)


def code(reply: httpx2.Response) -> tuple[int, str]:
    return reply.status_code, str(reply.json()["error"]["code"])


def names_of(application: FastAPI) -> Iterator[str]:
    for context in iter_route_contexts(application.routes):
        route: Any = context.original_route
        path = context.path if isinstance(route, APIRoute) else route.path
        for method in route.methods:
            yield f"{method} {path}"


def test_the_table_has_every_route_of_the_application(house: House) -> None:
    assert set(names_of(house.application)) == set(ROUTES)


@pytest.mark.parametrize("name", FOREIGN)
def test_what_another_tenant_has_cannot_be_found(house: House, name: str) -> None:
    owner, stranger = house.key("anna"), house.key("boris")
    job = house.http.post("/v1/jobs", headers=owner, **FORM).json()["id"]
    upload = house.ask("POST /v1/uploads", owner).json()["id"]
    key = house.http.get("/v1/admin/keys", headers=owner).json()["data"][0]["id"]
    collection = house.ask("POST /v1/collections", owner).json()["id"]
    reply = house.ask(name, stranger, job=job, upload=upload, key=key, collection=collection)
    assert reply.status_code == 404
    house.http.post(f"/v1/jobs/{job}/cancel", headers=owner)  # so that its events end
    mine = house.ask(name, owner, job=job, upload=upload, key=key, collection=collection)
    assert mine.status_code != 404


def test_dead_letters_of_all_tenants_are_for_an_operator_alone(
    house: House, connection: Cluster
) -> None:
    for tenant in ("anna", "boris"):
        key = f"dead-letters/{tenant}/job-1/1/transcribe/0"
        connection.store.put(key, b'{"code": "chunk_crashed", "message": "It died."}')

    def asked(*scopes: Scope, **query: str) -> httpx2.Response:
        query = {"all_tenants": "true", "limit": "1", **query}
        headers = house.key("carla", *scopes)
        return house.http.get("/v1/admin/dead-letters", headers=headers, params=query)

    assert asked(Scope.ADMIN).status_code == asked(Scope.OPERATE).status_code == 403
    first = asked(Scope.ADMIN, Scope.OPERATE).json()
    assert [letter["tenant"] for letter in first["data"]] == ["anna"]
    last = asked(Scope.ADMIN, Scope.OPERATE, after=first["next_after"]).json()
    assert [letter["tenant"] for letter in last["data"]] == ["boris"]
    assert last["next_after"] is None
    assert asked(Scope.ADMIN, Scope.OPERATE, all_tenants="false").json()["data"] == []


def test_lists_hold_only_what_is_the_tenants_own(house: House, connection: Cluster) -> None:
    owner, stranger = house.key("anna"), house.key("boris")
    house.http.post("/v1/jobs", headers=owner, **FORM)
    letter = "dead-letters/anna/job-1/1/transcribe/0"
    connection.store.put(letter, b'{"code": "chunk_crashed", "message": "It died."}')
    assert house.http.get("/v1/jobs", headers=stranger).json()["data"] == []
    assert house.ask("GET /v1/admin/dead-letters", stranger).json()["data"] == []
    assert len(house.ask("GET /v1/admin/dead-letters", owner).json()["data"]) == 1
    listed = house.ask("GET /v1/admin/keys", stranger).json()["data"]
    assert {key["tenant"] for key in listed} == {"boris"}
    used = {"upload_id": house.ask("POST /v1/uploads", owner).json()["id"]}
    reply = house.http.post("/v1/jobs", headers=stranger, json=used)
    assert code(reply) == (404, "unknown_upload")


def test_an_upload_is_submitted_by_its_own_tenant_only(house: House) -> None:
    owner, stranger = house.key("anna"), house.key("boris")
    upload = house.ask("POST /v1/uploads", owner).json()
    assert house.http.put(upload["url"], content=b"x", headers=owner).status_code == 204
    body = {"upload_id": upload["id"]}
    assert house.http.post("/v1/jobs", json=body, headers=stranger).status_code == 404
    assert house.http.post("/v1/jobs", json=body, headers=owner).status_code == 202


@pytest.mark.parametrize("name", GUARDED)
def test_a_route_asks_for_a_key_and_for_its_scope(house: House, name: str) -> None:
    needed = GUARDED[name]
    without = EVERY_SCOPE - {needed} - OTHER_SCOPES.get(name, set())
    ids = dict.fromkeys(("job", "upload", "key", "collection"), "none")
    lacking = house.ask(name, house.key("anna", *without), **ids)
    assert lacking.status_code == 403
    missing, wrong = house.ask(name, {}, **ids), house.ask(name, {"X-API-Key": "wrong"}, **ids)
    assert missing.status_code == wrong.status_code == 401
    assert missing.headers["WWW-Authenticate"] == "Bearer"
    enough = house.ask(name, house.key("anna", needed), **ids)
    assert enough.status_code not in (401, 403) or name == "GET /v1/webhooks/secret"


@pytest.mark.parametrize("name", [name for name in ROUTES if ROUTES[name][0] is OPEN])
def test_what_everybody_may_ask_needs_no_key(house: House, name: str) -> None:
    house.key("anna")
    reply = house.ask(name, {}, name="index.html")
    assert reply.status_code != 403 and (reply.status_code != 401 or "session" in name)


@pytest.mark.parametrize("name", ROUTES)
def test_every_reply_has_an_id_and_careful_headers(house: House, name: str) -> None:
    reply = house.ask(name, {"X-Request-ID": "order-17"}, job="none", upload="a", key="a", name="a")
    assert reply.headers["X-Request-ID"] == "order-17"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Access-Control-Allow-Origin" not in reply.headers
    if "/v1/" in name and "audio" not in name:
        assert reply.headers["Cache-Control"] == "no-store"
    if reply.status_code >= 400 and not name.startswith("HEAD"):
        assert reply.json()["error"].keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize("given", ["", "no spaces", "x" * 129, "ä"])
def test_an_id_that_could_forge_a_log_line_is_replaced(house: House, given: str) -> None:
    reply = house.http.get("/healthz", headers={b"X-Request-ID": given.encode()})
    assert len(reply.headers["X-Request-ID"]) == 24


def test_a_key_is_taken_from_either_header_and_from_the_cookie(house: House) -> None:
    secret = house.key("anna")["Authorization"].removeprefix("Bearer ")
    ways: list[dict[str, str]] = [
        {"Authorization": f"bearer {secret}"},
        {"X-API-Key": secret},
        {"X-API-Key": secret, "Authorization": "Basic YTpi"},
    ]
    for headers in ways:
        assert house.http.get("/v1/jobs", headers=headers).status_code == 200
    for wrong in ("", "x" * 600, "=", "ä"):
        reply = house.http.get("/v1/jobs", headers={b"X-API-Key": wrong.encode()})
        assert code(reply) == (401, "not_authenticated")
        reply = house.http.get(
            "/v1/jobs", headers={b"Cookie": b"scriptorium_session=" + wrong.encode()}
        )
        assert code(reply) == (401, "not_authenticated")


def test_a_browser_signs_in_and_out(house: House) -> None:
    signed_out: dict[str, Any] = {
        "tenant": None,
        "scopes": [],
        "anonymous": False,
        "needs_key": True,
    }
    secret = house.key("anna", Scope.READ)["Authorization"].removeprefix("Bearer ")
    assert house.http.get("/v1/session").json() == signed_out
    assert code(house.http.post("/v1/session", json={"key": "wrong"}))[0] == 401
    signed = house.http.post("/v1/session", json={"key": secret})
    cookie = signed.headers["Set-Cookie"]
    assert signed.status_code == 204 and secret not in cookie
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Secure" not in cookie
    signed_in = {"tenant": "anna", "scopes": ["read"], "anonymous": False, "needs_key": True}
    assert house.http.get("/v1/session").json() == signed_in
    assert house.http.get("/v1/jobs").status_code == 200
    assert house.http.post("/v1/jobs", **FORM).status_code == 403
    assert house.http.delete("/v1/session").status_code == 204
    assert house.http.get("/v1/session").json() == signed_out


def test_over_tls_the_cookie_stays_there(connection: Cluster) -> None:
    application = make_application(connection)
    secret, _ = application.state.keys.create("anna", "test", EVERY_SCOPE)
    with TestClient(application, base_url="https://localhost") as http:
        assert "Secure" in http.post("/v1/session", json={"key": secret}).headers["Set-Cookie"]


def test_without_keys_everybody_on_this_machine_may_do_everything(house: House) -> None:
    session = house.http.get("/v1/session").json()
    assert session == {
        "tenant": TENANT,
        "scopes": ["admin", "operate", "read", "write"],
        "anonymous": True,
        "needs_key": False,
    }
    assert house.http.post("/v1/jobs", **FORM).status_code == 202


ANY_KEY: list[dict[str, str]] = [
    {"Authorization": "Bearer sk-whatever"},
    {"Authorization": f"Bearer {'x' * 2000}"},
    {"X-API-Key": "none"},
    {"Cookie": "scriptorium_session=b2xk"},  # of an earlier cluster at this address
]


@pytest.mark.parametrize("name", GUARDED)
def test_without_keys_any_key_is_as_good_as_none(house: House, name: str) -> None:
    found = house.ask(name, ANY_KEY[0], job="none", upload="none", key="none")
    assert found.status_code != 401
    assert found.status_code != 403 or code(found)[1] == "webhook_not_allowed"


@pytest.mark.parametrize("headers", ANY_KEY)
def test_without_keys_who_holds_one_is_anonymous(house: House, headers: dict[str, str]) -> None:
    session = house.http.get("/v1/session", headers=headers).json()
    assert (session["tenant"], session["anonymous"], session["needs_key"]) == (TENANT, True, False)


@pytest.mark.parametrize("headers", ANY_KEY)
def test_any_key_opens_neither_a_public_address_nor_a_cluster_with_keys(
    house: House, headers: dict[str, str]
) -> None:
    house.application.state.serves_without_key = False
    assert house.http.get("/v1/jobs", headers=headers).status_code == 401
    house.application.state.serves_without_key = True
    assert house.http.get("/v1/jobs", headers=headers).status_code == 200
    house.key("anna")
    assert house.http.get("/v1/jobs", headers=headers).status_code == 401


def test_the_first_key_works_at_once_though_it_was_tried_by_others(
    house: House, connection: Cluster
) -> None:
    assert house.http.get("/v1/jobs", headers=ANY_KEY[0]).status_code == 200
    secret, _ = ApiKeys(connection.store, connection.settings).create("anna", "", EVERY_SCOPE)
    session = house.http.get("/v1/session", headers={"X-API-Key": secret}).json()
    assert (session["tenant"], session["anonymous"]) == ("anna", False)


def test_the_last_key_revoked_opens_nothing(house: House) -> None:
    owner = house.key("anna")
    mine = house.http.get("/v1/admin/keys", headers=owner).json()["data"][0]["id"]
    assert house.http.delete(f"/v1/admin/keys/{mine}", headers=owner).status_code == 204
    house.keys._any = None  # as after some seconds
    for headers in (owner, {}, *ANY_KEY):
        assert house.http.get("/v1/jobs", headers=headers).status_code == 401
    assert house.http.get("/v1/jobs", headers=house.key("anna")).status_code == 200


def test_the_last_key_revoked_does_not_open_a_public_address(house: House) -> None:
    house.application.state.serves_without_key = False
    owner = house.key("anna")
    mine = house.http.get("/v1/admin/keys", headers=owner).json()["data"][0]["id"]
    assert house.http.delete(f"/v1/admin/keys/{mine}", headers=owner).status_code == 204
    assert house.http.get("/v1/jobs").status_code == 401
    assert house.http.get("/v1/jobs", headers=owner).status_code == 401


def test_a_key_is_made_and_works_and_is_shown_once(house: House) -> None:
    owner = house.key("anna")
    body = {"name": "reader", "scopes": ["read"]}
    made = house.http.post("/v1/admin/keys", json=body, headers=owner).json()
    reader = {"X-API-Key": made.pop("key")}
    assert made["tenant"] == "anna" and made["scopes"] == ["read"]
    assert made in house.http.get("/v1/admin/keys", headers=owner).json()["data"]
    assert house.http.get("/v1/jobs", headers=reader).status_code == 200
    assert house.http.get("/v1/admin/keys", headers=reader).status_code == 403
    assert code(house.http.post("/v1/admin/keys", json={"name": "x", "scopes": []}, headers=owner))


def test_only_who_may_operate_the_cluster_can_allow_others_to(house: House) -> None:
    body = {"name": "keda", "scopes": ["operate"]}
    admin = house.key("anna", Scope.ADMIN)
    refused = house.http.post("/v1/admin/keys", json=body, headers=admin)
    assert code(refused) == (403, "not_allowed")
    operator = house.key("anna", Scope.ADMIN, Scope.OPERATE)
    assert house.http.post("/v1/admin/keys", json=body, headers=operator).status_code == 201


FOREIGN_PAGES: list[dict[str, str]] = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:9"},
    {"Origin": "file://127.0.0.1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN_PAGES)
def test_a_foreign_page_can_change_nothing(house: House, headers: dict[str, str]) -> None:
    assert code(house.http.post("/v1/jobs", headers=headers, **FORM)) == (403, "foreign_page")
    assert code(house.http.delete("/v1/jobs/x", headers=headers)) == (403, "foreign_page")
    owner = house.key("anna")
    assert house.http.post("/v1/jobs", headers=owner | headers, **FORM).status_code == 202
    house.http.post("/v1/session", json={"key": owner["Authorization"][7:]})
    assert code(house.http.post("/v1/jobs", headers=headers, **FORM)) == (403, "foreign_page")


@pytest.mark.parametrize("held", [*ANY_KEY, {"Authorization": "Basic YTpi"}])
@pytest.mark.parametrize("headers", FOREIGN_PAGES)
def test_a_foreign_page_cannot_make_up_a_key_where_none_is_needed(
    house: House, headers: dict[str, str], held: dict[str, str]
) -> None:
    refused = house.http.post("/v1/jobs", headers=headers | held, **FORM)
    assert code(refused) == (403, "foreign_page")


def test_a_foreign_page_cannot_hide_a_cookie_behind_another_header(house: House) -> None:
    secret = house.key("anna")["Authorization"][7:]
    assert house.http.post("/v1/session", json={"key": secret}).status_code == 204
    headers = {"Origin": "http://evil.example", "Authorization": "Basic YTpi"}
    assert code(house.http.post("/v1/jobs", headers=headers, **FORM)) == (403, "foreign_page")


def test_the_own_page_may_do_everything(house: House) -> None:
    own = {"Origin": HOST, "Sec-Fetch-Site": "same-origin"}
    assert house.http.post("/v1/jobs", headers=own, **FORM).status_code == 202


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[", "0.0.0.0"])
def test_without_keys_only_this_machines_names_are_served(house: House, host: str) -> None:
    asked = house.http.get("/v1/jobs", headers={"Host": host})
    assert code(asked) == (403, "foreign_host")
    made_up = house.http.get("/v1/jobs", headers=ANY_KEY[0] | {"Host": host})
    assert code(made_up) == (403, "foreign_host")
    secret = house.key("anna")
    assert house.http.get("/v1/jobs", headers=secret | {"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:8000", "[::1]:8000"])
def test_this_machine_has_several_names(house: House, host: str) -> None:
    assert house.http.get("/v1/jobs", headers={"Host": host}).status_code == 200


def test_an_api_open_to_anybody_has_any_name(settings: Settings, redis: Redis) -> None:
    public = open_cluster(settings.model_copy(update={"allow_anonymous": True}))
    with TestClient(make_application(public), base_url="http://scriptorium.example") as http:
        assert http.get("/v1/jobs").status_code == 200
    public.close()


def test_the_settings_key_may_do_everything(settings: Settings, redis: Redis) -> None:
    own = open_cluster(settings.model_copy(update={"api_key": SecretStr("canary-key")}))
    with TestClient(make_application(own), base_url="http://scriptorium.example") as http:
        assert http.get("/v1/jobs").status_code == 401
        assert http.get("/v1/jobs", headers={"X-API-Key": "canary-key"}).status_code == 200
        assert "canary-key" not in http.get("/v1/admin/keys", headers={"X-API-Key": "no"}).text
    own.close()


def test_an_unexpected_failure_is_an_envelope_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("canary")

    monkeypatch.setattr("orchestrator.cluster.job_index.JobIndex.find", fail)
    reply = house.http.get("/v1/jobs/none")
    assert code(reply) == (500, "internal_error") and "canary" not in reply.text
    assert reply.headers["X-Request-ID"] and reply.headers["X-Content-Type-Options"] == "nosniff"


def test_what_is_not_there_is_an_envelope_too(house: House) -> None:
    assert code(house.http.get("/nowhere")) == (404, "not_found")
    wrong = house.http.put("/v1/jobs")
    assert code(wrong) == (405, "method_not_allowed") and wrong.headers["Allow"] == "GET, POST"
    assert wrong.json()["error"]["message"] == "PUT is not for /v1/jobs; use GET, POST."

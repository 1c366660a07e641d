"""Corrections over HTTP: who, when, what each line then says, and what two editors are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from orchestrator.access import USUAL_SCOPES
from orchestrator.api.application import make_application
from orchestrator.cluster.connection import Cluster
from tests.inputs.doubted import INVENTED, RIGHT, WRONG, publish
from tests.inputs.examples import JOB, TENANT

PATH = f"/v1/jobs/{JOB}/corrections"
CORRECTED = {
    "segment": WRONG, "start": 0.5, "action": "corrected", "text": "We met a nice team.",
}  # fmt: skip
REFUSED = {"segment": INVENTED, "start": 3.0, "action": "refused"}
CONFIRMED = {"segment": RIGHT, "start": 6.0, "action": "confirmed"}


@pytest.fixture
def client(connection: Cluster) -> Iterator[TestClient]:
    publish(connection)
    application = make_application(connection)
    with TestClient(application, base_url="http://127.0.0.1") as client:
        yield client


def change(*lines: dict[str, Any], version: int = 0, run: int = 1) -> dict[str, Any]:
    return {"json": {"run": run, "version": version, "lines": list(lines)}}


def test_lines_are_corrected_confirmed_and_refused(client: TestClient) -> None:
    empty = {"object": "corrections", "job": JOB, "run": 1, "version": 0, "lines": []}
    assert client.get(PATH).json() == {**empty, "other_runs": []}
    reply = client.put(PATH, **change(CORRECTED, REFUSED, CONFIRMED)).json()
    assert reply == client.get(PATH).json() and reply["version"] == 1
    wrong, invented, right = reply["lines"]
    assert (wrong["segment"], wrong["action"], wrong["by"]) == (WRONG, "corrected", "anonymous")
    assert (wrong["text"], wrong["machine_text"]) == (CORRECTED["text"], "We met an ice cream.")
    assert [word["word"] for word in wrong["words"]] == str(CORRECTED["text"]).split()
    assert (wrong["start"], wrong["end"], wrong["version"]) == (0.5, 2.5, 1)
    assert (invented["text"], invented["words"]) == (None, [])
    assert right["text"] == right["machine_text"] == "The ship sails at nine."


def test_the_name_of_the_key_is_kept(client: TestClient) -> None:
    keys = client.app.state.keys  # type: ignore[attr-defined]
    secret, key = keys.create(TENANT, "Anna at the desk", USUAL_SCOPES)
    headers = {"Authorization": f"Bearer {secret}"}
    reply = client.put(PATH, **change(CONFIRMED), headers=headers).json()
    assert reply["lines"][0]["by"] == "Anna at the desk"
    assert key.id not in client.get(PATH, headers=headers).text


def test_every_format_takes_them_or_leaves_them_out(client: TestClient) -> None:
    path = f"/v1/jobs/{JOB}/transcript"
    machine = client.get(path, params={"format": "srt"}).text
    client.put(PATH, **change(CORRECTED, REFUSED))
    corrected = client.get(path, params={"format": "srt"}).text
    assert "nice team" in corrected and "Thanks" not in corrected
    assert client.get(path, params={"format": "srt", "corrections": "off"}).text == machine
    assert client.get(path, params={"corrections": "some"}).status_code == 422


def test_the_second_change_of_a_line_is_a_conflict(client: TestClient) -> None:
    client.put(PATH, **change(CORRECTED))
    other = {**CORRECTED, "text": "Other."}
    refused = client.put(PATH, **change(other))
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "correction_conflict")
    assert "anonymous" in refused.json()["error"]["message"]
    assert client.put(PATH, **change(other, version=1)).json()["version"] == 2
    assert client.put(PATH, **change(other, run=2)).status_code == 409


@pytest.mark.parametrize(
    "line",
    [
        {"segment": -1, "start": 0, "action": "confirmed"},
        {"segment": 0, "start": 0.5, "action": "praised"},
        {"segment": 0, "start": 0.5, "action": "corrected", "text": "x" * 4001},
        {"segment": 0, "start": 0.5, "action": "confirmed", "who": "me"},
        {"segment": 0, "action": "confirmed"},
    ],
)
def test_bodies_that_are_no_change_are_refused(client: TestClient, line: dict[str, Any]) -> None:
    assert client.put(PATH, **change(line)).status_code == 422
    assert client.put(PATH, **change()).status_code == 422
    assert client.put(PATH, **change(*[CONFIRMED] * 1001)).status_code == 422


def test_a_line_that_is_not_there_is_told(client: TestClient) -> None:
    refused = client.put(PATH, **change({**CONFIRMED, "start": 6.5}))
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_correction")
    assert client.get("/v1/jobs/nobody/corrections").status_code == 404

"""Vocabularies over HTTP, on the command line and by the clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from orchestrator.api.application import make_application
from orchestrator.cluster.connection import Cluster
from tests.unit.orchestrator.cli.test_cli import Run, cluster, run

__all__ = ["cluster", "run"]
HOST = "http://127.0.0.1"
LEGAL = {"hot_words": ["Ben"], "replacements": {"pie torch": "PyTorch"}, "masked": ["damn*"]}


@pytest.fixture
def http(connection: Cluster) -> Iterator[TestClient]:
    with TestClient(make_application(connection), base_url=HOST) as client:
        yield client


def test_a_vocabulary_is_put_listed_shown_and_deleted(http: TestClient) -> None:
    put = http.put("/v1/vocabularies/legal", json=LEGAL).json()
    assert (put["reference"], put["version"]) == ("legal@1", 1)
    assert put["vocabulary"]["numbers"] == "as_heard"
    in_words = http.put("/v1/vocabularies/spoken", json={"numbers": "words"}).json()
    assert in_words["vocabulary"]["numbers"] == "words"
    assert http.delete("/v1/vocabularies/spoken").status_code == 204
    assert http.put("/v1/vocabularies/legal", json=LEGAL).json() == put
    assert http.put("/v1/vocabularies/legal", json={}).json()["version"] == 2
    assert http.get("/v1/vocabularies").json() == {
        "data": [{"name": "legal", "version": 2, "versions": [1, 2]}]
    }
    assert http.get("/v1/vocabularies/legal").json()["version"] == 2
    shown = http.get("/v1/vocabularies/legal", params={"version": 1}).json()
    assert shown["vocabulary"]["replacements"] == LEGAL["replacements"]
    assert http.delete("/v1/vocabularies/legal").status_code == 204
    assert http.get("/v1/vocabularies").json() == {"data": []}


def test_what_is_not_there_is_a_404_and_what_is_wrong_a_422(http: TestClient) -> None:
    form: dict[str, Any] = {"files": {"file": ("a.wav", b"x")}}
    lines = {"lines": ["s3://calls/1.wav"], "options": {"vocabulary": "none"}}
    for reply, param in (
        (http.get("/v1/vocabularies/legal"), None),
        (http.delete("/v1/vocabularies/legal"), None),
        (http.put("/v1/vocabularies/a b", json=LEGAL), None),
        (
            http.post("/v1/jobs", **form, data={"options": '{"vocabulary": "none"}'}),
            "options.vocabulary",
        ),
        (http.post("/v1/collections", json=lines), "options.vocabulary"),
        (
            http.post(
                "/v1/audio/transcriptions", **form, data={"model": "fake", "vocabulary": "none"}
            ),
            "vocabulary",
        ),
    ):
        found = reply.json()["error"]
        assert (reply.status_code, found["code"]) == (404, "unknown_vocabulary")
        assert found["param"] == param
    wrong = http.put("/v1/vocabularies/legal", json={"numbers": "roman"})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (422, "numbers")


def test_the_command_line_puts_shows_lists_and_deletes(
    run: Run, cluster: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "legal.json"
    file.write_text(json.dumps(LEGAL), encoding="utf-8")
    assert run("vocabulary", "put", "legal", file).out == "legal@1\n"
    file.write_text("{}", encoding="utf-8")
    assert run("vocabulary", "put", "legal", file).out == "legal@2\n"
    assert run("vocabulary", "list").out == "legal@2\n"
    assert run("vocabulary", "list", "--json").json == [{"name": "legal", "versions": [1, 2]}]
    assert run("vocabulary", "list", "--tenant", "other").out == ""
    assert run("vocabulary", "show", "legal@1").json["hot_words"] == ["Ben"]
    assert run("vocabulary", "delete", "legal").status == 0
    gone = run("vocabulary", "show", "legal")
    assert gone.status == 1 and "unknown_vocabulary" in gone.err
    told = [json.loads(line)["action"] for line in run("audit", "--json").out.splitlines()]
    assert told == ["vocabulary.put", "vocabulary.put", "vocabulary.delete"]


@pytest.mark.parametrize("text", ["{", '{"numbers": "roman"}', "[]"])
def test_a_file_that_is_no_vocabulary_is_refused(
    run: Run, cluster: Cluster, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "legal.json"
    file.write_text(text, encoding="utf-8")
    refused = run("vocabulary", "put", "legal", file)
    assert refused.status == 2 and "no vocabulary:" in refused.err
    assert run("vocabulary", "put", "legal", tmp_path / "none.json").status != 0

"""Whether a diarization model can be had is found out before a job needs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gpu_worker.diarization.access import check_access, check_token, main
from gpu_worker.diarization.models import COMMUNITY
from gpu_worker.errors import HubTokenMissing, UnknownModel


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))


@pytest.fixture
def hub(request: pytest.FixtureRequest) -> Iterator[str]:
    """A hub that answers every question as the test's parameter says."""
    status, code = request.param

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def asked(name: str, hub: str, directory: Path) -> dict[str, str]:
    """What the check says in a process of its own, as the doctor asks it."""
    child = subprocess.run(
        [sys.executable, "-m", "gpu_worker.diarization.access", name, "--model-dir", directory],
        env=os.environ | {"HF_ENDPOINT": hub, "HF_TOKEN": "hf_of_a_test"},
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, str] = json.loads(child.stdout)
    assert bool(found) == bool(child.returncode)
    return found


def test_without_a_token_one_is_told_which_terms_to_accept_and_where_it_goes(
    tmp_path: Path,
) -> None:
    with pytest.raises(HubTokenMissing) as caught:
        check_token(COMMUNITY, None, str(tmp_path))
    assert f"https://hf.co/{COMMUNITY}" in caught.value.advice
    assert "HF_TOKEN" in caught.value.advice and "--hf-token" in caught.value.advice


@pytest.mark.parametrize("name", ["pico-voice", "fake", "me/mine"])
def test_what_is_not_gated_needs_no_token(name: str) -> None:
    check_token(name, None)


def test_what_was_fetched_before_needs_no_token(tmp_path: Path) -> None:
    revision = "0" * 40
    there = tmp_path / f"models--{COMMUNITY.replace('/', '--')}"
    (there / "refs").mkdir(parents=True)
    (there / "refs" / "main").write_text(revision)
    (there / "snapshots" / revision).mkdir(parents=True)
    (there / "snapshots" / revision / "config.yaml").write_text("pipeline: {}")
    check_access(COMMUNITY, None, str(tmp_path))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownModel):
        check_access("no such", None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hub", "code"),
    [
        ((200, ""), ""),
        ((403, "GatedRepo"), "model_gated"),
        ((401, "RepoNotFound"), "unknown_model"),
        ((500, ""), "model_unavailable"),
    ],
    indirect=["hub"],
)
def test_the_hubs_answer_is_told(hub: str, code: str, tmp_path: Path) -> None:
    assert asked(COMMUNITY, hub, tmp_path).get("code", "") == code


def test_the_check_prints_what_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["pico-voice"]) == 0
    assert main([COMMUNITY, "--model-dir", str(tmp_path)]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "{}" and json.loads(told[1])["code"] == "hub_token_missing"

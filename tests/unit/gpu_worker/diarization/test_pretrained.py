"""Where pipelines come from, and what is said when they do not come."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from gpu_worker.diarization import DiarizerRequest, pico_voice
from gpu_worker.diarization.models import COMMUNITY
from gpu_worker.diarization.pretrained import load
from gpu_worker.errors import (
    DeviceFault,
    HubTokenMissing,
    ModelGated,
    ModelUnavailable,
    ScriptoriumError,
    UnknownModel,
)
from tests.inputs.pyannote_directory import write_pipeline

pytestmark = pytest.mark.slow  # it loads pyannote

REFUSALS = {  # as the hub answers: status and X-Error-Code
    "gated": (401, "GatedRepo"),
    "refused": (403, "GatedRepo"),
    "absent": (401, "RepoNotFound"),
    "old": (404, "RevisionNotFound"),
    "empty": (404, "EntryNotFound"),
    "broken": (500, ""),
}


class Hub(BaseHTTPRequestHandler):
    """Refuses owner/NAME as `REFUSALS` says."""

    def do_HEAD(self) -> None:
        status, code = REFUSALS[self.path.split("/")[2]]
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.end_headers()

    do_GET = do_HEAD

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HTTPServer]:
    """In place of the real one, without a token."""
    from huggingface_hub import constants, file_download

    server = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    if hasattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE"):  # up to 0.x a copy of it
        monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    yield server
    server.shutdown()
    server.server_close()


def failure(name: str, tmp_path: Path, token: str | None = None) -> ScriptoriumError:
    with pytest.raises(ScriptoriumError) as raised:
        load(DiarizerRequest(name, device="cpu", model_dir=str(tmp_path), hub_token=token))
    return raised.value


def test_a_gated_model_without_a_token_says_where_to_accept_and_where_the_token_goes(
    tmp_path: Path,
) -> None:
    error = failure("owner/gated", tmp_path)
    assert isinstance(error, HubTokenMissing)
    assert "https://hf.co/owner/gated" in error.advice
    assert "HF_TOKEN" in error.advice and "--hf-token" in error.advice
    assert f"https://hf.co/{COMMUNITY}" in HubTokenMissing().advice


def test_a_token_whose_owner_has_not_accepted_the_terms_is_told_so(tmp_path: Path) -> None:
    error = failure("owner/refused", tmp_path, "hf_abcdefgh")
    assert isinstance(error, ModelGated)
    assert "https://hf.co/owner/refused" in error.advice
    assert "hf_abcdefgh" not in error.message + error.advice


def test_a_token_of_another_service_is_not_taken_for_the_hubs(tmp_path: Path) -> None:
    error = failure("owner/gated", tmp_path, "sk_abcdefgh")
    assert isinstance(error, HubTokenMissing)
    assert "begin with hf_" in error.message


@pytest.mark.parametrize("name", ["owner/absent", "owner/old", "owner/empty"])
def test_what_the_hub_does_not_have_is_unknown(name: str, tmp_path: Path) -> None:
    error = failure(name, tmp_path, "hf_abcdefgh")
    assert isinstance(error, UnknownModel)
    assert name in error.message


@pytest.mark.slow
def test_a_hub_that_fails_is_tried_again_later(
    tmp_path: Path, hub: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = SimpleNamespace(sleep=lambda _: None)  # the client tries again by itself
    monkeypatch.setattr("huggingface_hub.utils._http.time", naps)
    assert isinstance(failure("owner/broken", tmp_path), ModelUnavailable)
    hub.shutdown()
    hub.server_close()
    assert isinstance(failure("owner/broken", tmp_path), ModelUnavailable)


@pytest.mark.parametrize(
    "config",
    [
        "",
        "pipeline:\n  name: no.such.Pipeline\n",
        "pipeline:\n  name: pyannote.audio.pipelines.SpeakerDiarization\n"
        "  params:\n    segmentation: $model/nothing\n",
        "dependencies:\n  pyannote.audio: 99.0.0\npipeline:\n  name: x.Y\n",
    ],
)
def test_a_directory_that_holds_no_pipeline_is_unknown(config: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(config, encoding="utf-8")
    error = failure(str(tmp_path), tmp_path)
    assert isinstance(error, UnknownModel)
    assert "no pipeline" in error.message


def test_a_pipeline_of_another_kind_is_refused(tmp_path: Path) -> None:
    config = f"pipeline:\n  name: {__name__}.Counting\nparams: {{}}\n"
    (tmp_path / "config.yaml").write_text(config, encoding="utf-8")
    error = failure(str(tmp_path), tmp_path)
    assert isinstance(error, UnknownModel)
    assert "no speaker diarization pipeline" in error.message


@pytest.mark.slow
def test_a_pipeline_without_parameters_has_pyannotes_own(tmp_path: Path) -> None:
    directory = write_pipeline(tmp_path, mel_bins=16, seconds=5.0)
    config = yaml.safe_load((directory / "config.yaml").read_text(encoding="utf-8"))
    del config["params"]
    (directory / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    diarizer = load(DiarizerRequest(str(directory), device="cpu", threads=1))
    assert diarizer._pipeline.clustering.threshold == 0.6
    assert (diarizer.name, diarizer.device) == (str(directory), "cpu")


def test_a_built_in_pipeline_whose_segmentation_cannot_be_had_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_index: Path
) -> None:
    monkeypatch.setattr(pico_voice, "find_spec", lambda _: None)
    with pytest.raises(ModelUnavailable, match=r"whisperx==3\.8\.6"):
        load(DiarizerRequest("pico-voice", device="cpu", model_dir=str(tmp_path)))


def test_telemetry_is_off() -> None:
    assert os.environ["PYANNOTE_METRICS_ENABLED"] == "false"


def test_a_device_that_is_not_there_is_the_worker_s_fault() -> None:
    with pytest.raises(DeviceFault):
        load(DiarizerRequest("pico-voice", device="cuda:99"))


class Counting:
    """A pipeline, but of nothing."""

    instantiated = True

    def __init__(self, **_: object) -> None: ...

    def instantiate(self, _: object) -> None: ...

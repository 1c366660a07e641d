"""Servers of models that do not answer are asked once in a while, not by each chunk."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NoReturn
from urllib.error import HTTPError, URLError

import pytest
from huggingface_hub.errors import OfflineModeIsEnabled

from gpu_worker.alignment.models import fetch_align_model
from gpu_worker.errors import ModelUnavailable
from gpu_worker.models.hub import HUB, SILENT_SECONDS, Servers, is_silence
from gpu_worker.models.whisper import NEEDED_FILES, fetch_model, find_model
from tests.inputs.hub_cache import put_into_hub_cache


class Counting(BaseHTTPRequestHandler):
    """A hub that refuses everything, and counts how often it did."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_error(403)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def refusing_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Counting]]:
    class Own(Counting):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(
        "huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}"
    )
    yield Own
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def dead_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[None]]:
    """A hub that hangs up at once, with an entry for each call."""
    calls: list[None] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def hang_up() -> None:
        while True:
            try:
                call, _ = listening.accept()
            except OSError:
                return
            calls.append(None)
            call.close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    yield calls
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


def test_a_hub_that_does_not_answer_is_asked_once_for_all_models(
    dead_hub: list[None], tmp_path: Path
) -> None:
    for name in ("small", "medium", "small"):
        with pytest.raises(ModelUnavailable):
            fetch_model(find_model(name), str(tmp_path), None)
    with pytest.raises(ModelUnavailable, match="gave no answer less than 60 s ago"):
        fetch_align_model("owner/name", str(tmp_path), None)
    assert len(dead_hub) == 1


def test_what_is_in_the_cache_is_had_from_a_hub_that_does_not_answer(
    dead_hub: list[None], tmp_path: Path
) -> None:
    source = find_model("small")
    names = (name.replace("*", "txt") for name in NEEDED_FILES)
    here = put_into_hub_cache(source, tmp_path, *names)
    for _ in range(2):
        assert fetch_model(source, str(tmp_path), None) == here
    assert len(dead_hub) == 1


def test_a_refusal_is_an_answer_and_each_model_is_asked_for(
    refusing_hub: type[Counting], tmp_path: Path
) -> None:
    for name in ("small", "medium"):
        with pytest.raises(ModelUnavailable, match="HfHubHTTPError"):
            fetch_model(find_model(name), str(tmp_path), None)
    assert refusing_hub.asked == 2


def test_a_silent_server_is_asked_again_after_a_while() -> None:
    now = 0.0
    servers = Servers(clock=lambda: now)
    with pytest.raises(TimeoutError), servers.asking(HUB, "Model x"):
        raise TimeoutError
    with pytest.raises(ModelUnavailable), servers.asking(HUB, "Model x"):
        pytest.fail("it is asked too soon")
    with servers.asking("another server", "Model x"):
        pass
    now = SILENT_SECONDS
    with servers.asking(HUB, "Model x"):
        pass
    assert not servers.is_silent(HUB)


def test_an_error_of_this_machine_is_not_silence() -> None:
    servers = Servers()
    with pytest.raises(OSError, match="disk"), servers.asking(HUB, "Model x"):
        raise OSError("disk")
    assert not servers.is_silent(HUB)
    assert is_silence(URLError("no route"))
    assert not is_silence(HTTPError("https://a/b", 404, "no", Message(), None))


def test_a_worker_that_may_not_ask_the_hub_says_so_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> NoReturn:
        raise OfflineModeIsEnabled("HF_HUB_OFFLINE is set")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", forbidden)
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match="HF_HUB_OFFLINE forbids") as told:
            fetch_model(find_model("small"), str(tmp_path), None)
        assert "models pull" in told.value.advice


def test_a_full_disk_is_named_as_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", full)
    with pytest.raises(ModelUnavailable, match="no space left in the directory of models"):
        fetch_model(find_model("small"), str(tmp_path), None)

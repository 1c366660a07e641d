"""`bench accuracy` compares engines on a labelled set, and its exit status is the verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.settings import Settings
from gpu_worker.errors import InvalidOption, LibraryMissing, UnknownModel, UnreadableAudio
from orchestrator.cli.commands import app
from orchestrator.evaluation.scoring import MeasurementFailed, known_error
from tests.inputs.speech import recording, write_wav


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two recordings of held-out utterances, and a file without a text."""
    directory = tmp_path_factory.mktemp("labelled")
    for seed in range(2):
        samples, said = recording(12, seed=seed)
        write_wav(directory / f"{seed}.wav", samples)
        (directory / f"{seed}.txt").write_text(" ".join(each.text for each in said))
    (directory / "unlabelled.wav").write_bytes(b"not read")
    yield directory


def bench(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["bench", "accuracy", *map(str, arguments)])


@pytest.mark.slow  # each model is loaded in a process of its own
def test_compute_types_that_hear_alike_pass(labelled: Path) -> None:
    ended = bench(labelled, "--model", "pico", "--compute-types", "float32,int8", "--json")
    assert ended.exit_code == 0, ended.output
    first, second = json.loads(ended.stdout)
    assert (first["compute_type"], second["compute_type"]) == ("float32", "int8")
    assert first["points_above"] == 0.0 and first["wer"] < 0.2 and second["accepted"]
    assert first["words"] == second["words"] > 40
    assert first["audio_seconds"] > 24 and 0 < first["real_time_factor"] < 1


@pytest.mark.slow
def test_a_side_with_more_word_errors_fails_and_the_table_says_by_how_much(labelled: Path) -> None:
    ended = bench(labelled, "--model", "pico", "--models", "fake", "--language", "en")
    assert ended.exit_code == 1, ended.output
    assert ended.stdout.startswith("a: pico default\nb: fake default\n")
    [rates] = [line for line in ended.stdout.splitlines() if line.split()[:2] == ["WER", "%"]]
    assert float(rates.split()[2]) < float(rates.split()[3])
    assert "fake default has" in ended.stderr and "at most 1 are accepted" in ended.stderr


@pytest.mark.slow
def test_an_error_of_the_engine_is_told_with_its_own_class(labelled: Path, tmp_path: Path) -> None:
    ended = bench(labelled, "--model", "pico", "--compute-types", "int8,float16")
    assert isinstance(ended.exception, InvalidOption) and "float16" in ended.exception.message
    assert "a: pico int8" in ended.stdout  # what was measured before is not lost
    (tmp_path / "a.wav").write_bytes(b"no sound")
    (tmp_path / "a.txt").write_text("words")
    ended = bench(tmp_path, "--model", "fake", "--models", "fake-50x")
    assert isinstance(ended.exception, UnreadableAudio)


@pytest.mark.parametrize(
    ("arguments", "kind", "told"),
    [
        (["--model", "pico"], InvalidOption, "nothing to compare"),
        (["--compute-types", "int8,float32"], InvalidOption, "No model is named"),
        (["--model", "pico", "--compute-types", "int8,int7"], InvalidOption, "compute_type"),
        (["--model", "pico", "--models", "none-such"], UnknownModel, "none-such"),
        (["--model", "pico", "--models", "fake"], InvalidOption, "no recording with a text"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_loaded(
    tmp_path: Path, arguments: list[str], kind: type[Exception], told: str
) -> None:
    ended = bench(tmp_path, *arguments)
    assert isinstance(ended.exception, kind) and told in str(ended.exception)


def test_an_error_of_the_child_keeps_its_class_and_an_unknown_one_is_a_failure() -> None:
    told = {"code": "library_missing", "message": "jiwer is not installed.", "hint": "Install it."}
    error = known_error(told)
    assert isinstance(error, LibraryMissing) and error.advice == "Install it."
    assert isinstance(known_error(told | {"code": "of_tomorrow"}), MeasurementFailed)


def test_a_wrong_trial_is_told_when_a_command_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIPTORIUM_TRIAL", '{"share": 2, "compute_type": "int8"}')
    ended = CliRunner().invoke(app, ["models", "list"])
    assert isinstance(ended.exception, InvalidOption) and "share" in ended.exception.message


def test_a_trial_without_completed_jobs_is_a_table_without_figures(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.redis_url is not None and settings.store_url is not None
    monkeypatch.setenv("REDIS_URL", settings.redis_url.get_secret_value())
    monkeypatch.setenv("SCRIPTORIUM_STORE_URL", settings.store_url)
    ended = CliRunner().invoke(app, ["bench", "trial"], catch_exceptions=False)
    assert "control" in ended.stdout and "0 recordings were transcribed by both" in ended.stdout

"""`eval` transcribes a labelled set by two variants and says which is better."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gpu_worker.errors import InvalidOption, UnknownModel
from orchestrator.cli.commands import app
from tests.inputs.speech import recording, write_wav

RECORDINGS = 3


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of held-out utterances, with their texts, speakers and times."""
    directory = tmp_path_factory.mktemp("labelled")
    for seed in range(RECORDINGS):
        samples, said = recording(12, seed=seed)
        write_wav(directory / f"{seed}.wav", samples)
        (directory / f"{seed}.txt").write_text(" ".join(each.text for each in said))
        voices = [each.voice.replace(" ", "_") for each in said]
        (directory / f"{seed}.rttm").write_text(
            "".join(
                f"SPEAKER x 1 {each.start:.3f} {each.end - each.start:.3f} <NA> <NA> {voice} <NA>\n"
                for each, voice in zip(said, voices, strict=True)
            )
        )
        (directory / f"{seed}.stm").write_text(
            "".join(
                f"x 1 {voice} {each.start:.3f} {each.end:.3f} {each.text}\n"
                for each, voice in zip(said, voices, strict=True)
            )
        )
        firsts = [(each.text.split()[0], each.start) for each in said]
        (directory / f"{seed}.words.json").write_text(
            json.dumps([{"word": word, "start": at, "end": at + 0.1} for word, at in firsts])
        )
    return directory


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["eval", *map(str, arguments)])


@pytest.mark.slow  # two clusters
def test_a_side_that_stops_too_early_is_found_worse_by_more_than_chance(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPTORIUM_PRICES", '{"currency": "EUR", "device_hour": {"cpu": 3600}}')
    usual = "model=pico,aligner=cross_attention,diarize_model=fake"
    ended = run(
        labelled, "--a", usual, "--b", f"{usual},max_new_tokens=4", "--language", "en",
        "--most", 1, "--json", tmp_path / "found.json",
    )  # fmt: skip
    assert ended.exit_code == 1, ended.output
    assert "points more word errors than model=pico" in ended.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    a, b = found["all"]["a"], found["all"]["b"]
    assert len(found["recordings"]) == RECORDINGS and a["words"] == b["words"] > 60
    assert a["wer"] < 0.2 < b["wer"] and found["differences"]["b"]["wer"]["better"] == "a"
    assert found["differences"]["b"]["wer"]["low"] > 0
    assert a["der"] is not None and a["cpwer"] is not None and a["timed_words"] > 3
    assert a["speed"] > 1 and a["cost"] == pytest.approx(a["device_seconds"], abs=1e-3)
    [rates] = [line for line in ended.stdout.splitlines() if line.split()[:2] == ["WER", "%"]]
    assert rates.split()[-1] == "a"


@pytest.mark.parametrize(
    ("arguments", "kind", "told"),
    [
        (["--a", "pico", "--b", "model=fake"], InvalidOption, "names no options"),
        (["--a", "beam_size=1", "--b", "model=fake"], InvalidOption, "No model is named"),
        (["--a", "model=pico", "--b", "model=none-such"], UnknownModel, "none-such"),
        (["--a", "model=pico", "--b", "model=pico,beam_size=x"], InvalidOption, "beam_size"),
        (["--a", "model=pico", "--b", "model=fake"], InvalidOption, "no recording with a text"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_started(
    tmp_path: Path, arguments: list[str], kind: type[Exception], told: str
) -> None:
    ended = run(tmp_path, *arguments)
    assert isinstance(ended.exception, kind) and told in str(ended.exception)

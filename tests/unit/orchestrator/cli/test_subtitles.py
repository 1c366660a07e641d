from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gpu_worker.assembly.formats import render
from gpu_worker.assembly.subtitles import SubtitleOptions
from orchestrator.cli.subtitles import app
from tests.inputs.transcripts import spoken, transcript

SAID = transcript(spoken(("Hello", 0.0), ("there.", 0.5)))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.srt"
    path.write_text(render(SAID, "srt", SubtitleOptions(profile="netflix")))
    return path


def test_a_file_that_keeps_to_its_profile_is_status_0(good: Path) -> None:
    told = CliRunner().invoke(app, [str(good), "--profile", "netflix"])
    assert (told.exit_code, told.output) == (0, "netflix: 0 violations in 1 cues\n")


def test_each_violation_is_a_line_and_status_1(good: Path) -> None:
    bad = good.with_name("bad.srt")
    bad.write_text("1\n00:01:05,250 --> 00:01:05,500\nYes.\n\n")
    told = CliRunner().invoke(app, [str(bad), "--profile", "netflix"])
    assert told.exit_code == 1
    assert told.output.splitlines() == [
        "cue 1 at 01:05.250: 250 ms on the screen, too short, limit 833",
        "netflix: 1 violations in 1 cues",
    ]
    told = CliRunner().invoke(app, [str(bad), "--profile", "netflix", "--json"])
    assert json.loads(told.output)["by_rule"] == {"shortest": 1}

from __future__ import annotations

from html import unescape
from pathlib import Path

import pytest
from hypothesis import given, settings

from gpu_worker.assembly.cue import Cue
from gpu_worker.assembly.formats import render
from gpu_worker.assembly.subtitles import SubtitleOptions, cues
from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Transcript
from orchestrator.results.subtitle_files import cues_of, read_cues
from tests.inputs.transcripts import seconds, transcripts

NETFLIX = SubtitleOptions(profile="netflix")


@settings(deadline=None, max_examples=50)
@given(transcripts(seconds))
def test_what_we_write_is_read_with_the_same_times(said: Transcript) -> None:
    made = [(cue.start_ms, cue.end_ms) for cue in cues(said, NETFLIX)]
    for form in ("srt", "vtt"):
        found = cues_of(render(said, form, NETFLIX))
        assert [(cue.start_ms, cue.end_ms) for cue in found] == made


def test_lines_stay_and_styles_positions_and_notes_go() -> None:
    vtt = (
        "WEBVTT\n\nNOTE mine\n\nfirst\n00:01.000 --> 00:02.500 align:start\n"
        "<v Ann>Tom &amp; <i>I</i>\nwent &lt;home\n\n00:03.000 --> 00:03.000\nnever\n"
    )
    assert cues_of(vtt) == [Cue(1_000, 2_500, "Tom & I\nwent <home")]
    srt = "\ufeff1\r\n00:00:01,000 --> 00:00:02,500\r\n{\\an8}Tom &amp; I\r\n\r\n"
    assert cues_of(srt) == [Cue(1_000, 2_500, "Tom &amp; I")]
    assert unescape("&amp;") == "&"


def test_a_file_without_subtitles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text("hello")
    (tmp_path / "b.srt").write_bytes(b"\xff\xfe1")
    for name in ("a.srt", "b.srt", "c.srt"):
        with pytest.raises(InvalidOption):
            read_cues(tmp_path / name)

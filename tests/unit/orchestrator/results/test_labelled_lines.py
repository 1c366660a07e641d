"""Corrected and confirmed lines become clips with their texts, which measure models."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpu_worker.accuracy.labelled import labelled_files
from gpu_worker.transcript import transcript_to_json
from orchestrator.cluster.connection import Cluster
from orchestrator.results.corrections import Action, LineChange, LineCorrection, correct
from orchestrator.results.files import NotWritable
from orchestrator.results.labelled_lines import PADDING_SECONDS, Exported, clips, export_labelled
from orchestrator.results.recordings import AudioMissing
from tests.inputs.doubted import DOUBTED, INVENTED, RIGHT, WRONG, publish, publish_sound
from tests.inputs.examples import TENANT, a_manifest, a_plan, write_records

SEGMENTS = transcript_to_json(DOUBTED)["segments"]
RATE = 16_000


def said(action: Action, text: str | None = None) -> LineCorrection:
    return LineCorrection(action, text, "Anna", None, 1.0, 1)


@pytest.fixture
def job(connection: Cluster) -> str:
    job = publish(connection)
    changes = [
        LineChange(WRONG, 0.5, Action.CORRECTED, "We met a nice team."),
        LineChange(INVENTED, 3.0, Action.REFUSED),
        LineChange(RIGHT, 6.0, Action.CONFIRMED),
    ]
    correct(connection, TENANT, job, changes, run=1, seen=0, by="Anna", key=None)
    return job


def test_a_clip_has_room_around_its_line_and_no_word_of_its_neighbours() -> None:
    lines = {at: said(Action.CONFIRMED) for at in range(4)}
    found = list(clips(SEGMENTS, lines))
    assert [(it.start, it.end) for it in found] == [
        (0.25, 2.75),
        (2.75, 5.25),
        (5.75, 8.25),
        (8.25, 10.0 + PADDING_SECONDS),
    ]
    near = [{**SEGMENTS[0], "end": 2.9}, {**SEGMENTS[1], "start": 3.0}]
    first, second = clips(near, {0: lines[0], 1: lines[1]})
    assert first.end == second.start == pytest.approx(2.95)


def test_refused_lines_and_lines_without_length_are_no_clips() -> None:
    assert list(clips(SEGMENTS, {0: said(Action.REFUSED), 1: said(Action.NONE)})) == []
    empty = [{**SEGMENTS[0], "end": SEGMENTS[0]["start"]}]
    assert list(clips(empty, {0: said(Action.CONFIRMED)})) == []


def test_the_set_can_be_read_as_labelled_and_has_the_sound_of_each_line(
    connection: Cluster, job: str, tmp_path: Path
) -> None:
    samples = np.linspace(-0.5, 0.5, 12 * RATE, dtype=np.float32)
    publish_sound(connection, samples)
    written = export_labelled(connection, TENANT, job, tmp_path / "set").clips
    assert [path.name for path in written] == [f"{job}-00000.wav", f"{job}-00002.wav"]
    found = labelled_files(tmp_path / "set")
    assert tuple(file.path for file in found) == written
    texts = [file.text.strip() for file in found]
    assert texts == ["We met a nice team.", "The ship sails at nine."]
    with wave.open(str(written[1])) as clip:
        assert (clip.getframerate(), clip.getnchannels(), clip.getnframes()) == (RATE, 1, 40_000)
        heard = np.frombuffer(clip.readframes(40_000), "<i2")
    expected = (samples[int(5.75 * RATE) : int(8.25 * RATE)] * 32767).astype("<i2")
    assert np.array_equal(heard, expected)


@pytest.mark.parametrize(
    ("task", "lines", "translated"),
    [("translate", ["00002"], 1), ("transcribe", ["00000", "00002"], 0)],
)
def test_a_line_of_a_translation_is_a_label_only_where_english_is_said(
    connection: Cluster, tmp_path: Path, task: str, lines: list[str], translated: int
) -> None:
    write_records(connection.store, a_manifest(language="de", task=task), a_plan(12.0))
    segments = list(DOUBTED.segments)
    segments[RIGHT] = replace(segments[RIGHT], language="en")
    job = publish(connection, replace(DOUBTED, language="de", segments=tuple(segments)))
    changes = [
        LineChange(WRONG, 0.5, Action.CORRECTED, "We met a nice team."),
        LineChange(RIGHT, 6.0, Action.CONFIRMED),
    ]
    correct(connection, TENANT, job, changes, run=1, seen=0, by="Anna", key=None)
    publish_sound(connection, np.zeros(12 * RATE, np.float32))
    exported = export_labelled(connection, TENANT, job, tmp_path / "set")
    assert [path.name for path in exported.clips] == [f"{job}-{line}.wav" for line in lines]
    assert exported.translated == translated
    assert len(list((tmp_path / "set").iterdir())) == 2 * len(lines)


def test_the_last_clip_ends_with_the_recording(
    connection: Cluster, job: str, tmp_path: Path
) -> None:
    publish_sound(connection, np.zeros(8 * RATE, np.float32))
    *_, last = export_labelled(connection, TENANT, job, tmp_path).clips
    with wave.open(str(last)) as clip:
        assert clip.getnframes() == int(2.25 * RATE)


def test_what_hinders_it_is_told(connection: Cluster, job: str, tmp_path: Path) -> None:
    with pytest.raises(AudioMissing):
        export_labelled(connection, TENANT, job, tmp_path)
    publish_sound(connection, np.zeros(12 * RATE, np.float32))
    (tmp_path / "file").touch()
    with pytest.raises(NotWritable):
        export_labelled(connection, TENANT, job, tmp_path / "file")


def test_a_job_without_labelled_lines_gives_none(connection: Cluster, tmp_path: Path) -> None:
    exported = export_labelled(connection, TENANT, publish(connection), tmp_path / "new")
    assert exported == Exported((), 0)
    assert not (tmp_path / "new").exists()

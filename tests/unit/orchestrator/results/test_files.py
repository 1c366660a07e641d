"""Published results as files."""

from __future__ import annotations

import json
import os
from io import BytesIO
from pathlib import Path

import pytest
from docx import Document

from gpu_worker.assembly.formats import FORMATS
from gpu_worker.assembly.subtitles import SubtitleOptions
from gpu_worker.errors import DiskFull, InvalidOption
from gpu_worker.transcript import Segment, Transcript, Word, transcript_to_json
from orchestrator.cli.output_names import plain_stem
from orchestrator.cluster.connection import Cluster, NotFinished, UnknownJob
from orchestrator.results.files import (
    NotWritable,
    endings,
    parse_formats,
    render_result,
    report_subtitles,
    write_results,
)
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tests.inputs.examples import JOB, TENANT, a_manifest, a_unit, write_records

OPTIONS = SubtitleOptions()
WORDS = (Word("Guten", 0.5, 1.0, 0.9), Word("Tag.", 1.0, 1.5, 0.8))
TRANSCRIPT = Transcript("de", 2.0, (Segment(0.5, 1.5, "Guten Tag.", WORDS),))
UNIT = a_unit(Stage.ASSEMBLE)


@pytest.fixture
def job(connection: Cluster) -> str:
    """A job that has completed."""
    write_records(connection.store, a_manifest())
    record = result_record(transcript=transcript_to_json(TRANSCRIPT))
    connection.store.put(keys.of_run(UNIT.run, keys.RESULT), encode(record))
    connection.store.put(
        keys.of_run(UNIT.run, "timings.json"), encode({"prepare": {"seconds": 1.0}})
    )
    return JOB


@pytest.mark.parametrize(
    ("text", "names"),
    [("txt", ("txt",)), ("json, srt", ("json", "srt")), ("all", tuple(FORMATS))],
)
def test_formats_are_named_one_by_one_or_all(text: str, names: tuple[str, ...]) -> None:
    assert parse_formats(text) == names


@pytest.mark.parametrize("text", ["", "doc", "txt,doc", "TXT", "all,txt"])
def test_other_formats_are_refused(text: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        parse_formats(text)
    assert "srt" in caught.value.advice


def test_json_is_the_transcript_with_its_job_and_timings(connection: Cluster, job: str) -> None:
    body = json.loads(render_result(connection, TENANT, job, "json", OPTIONS))
    assert body["segments"][0]["words"][1]["word"] == "Tag."
    told = (body["job"], body["run"], body["timings"])
    assert told == (job, 1, {"prepare": {"seconds": 1.0}})


def test_other_formats_are_text(connection: Cluster, job: str) -> None:
    assert render_result(connection, TENANT, job, "txt", OPTIONS) == b"Guten Tag.\n"
    srt = render_result(connection, TENANT, job, "srt", OPTIONS)
    assert b"00:00:00,500 --> 00:00:01,500" in srt


def test_a_document_is_bytes_and_a_file_has_its_format_s_extension(
    connection: Cluster, job: str, tmp_path: Path
) -> None:
    formats = ("docx", "textgrid", "audacity")
    paths = write_results(connection, TENANT, job, "talk", tmp_path, formats, OPTIONS)
    assert [path.name for path in paths] == ["talk.docx", "talk.TextGrid", "talk.labels.txt"]
    assert [path.name.removeprefix("talk.") for path in paths] == list(endings(formats))
    assert "Guten Tag." in Document(BytesIO(paths[0].read_bytes())).paragraphs[1].text


def test_the_report_is_of_the_subtitles_that_are_made_for_the_profile(
    connection: Cluster, job: str
) -> None:
    report = report_subtitles(connection, TENANT, job, "netflix", 25)
    assert (report.profile, report.frame_rate, report.cues) == ("netflix", 25, 1)
    assert report.violations == ()
    with pytest.raises(InvalidOption, match="no subtitle profile"):
        report_subtitles(connection, TENANT, job, "cinema", None)


def test_files_of_a_translation_have_the_limits_and_the_name_of_english_whatever_was_spoken(
    connection: Cluster,
) -> None:
    write_records(connection.store, a_manifest(language="ja", task="translate"))
    said = "It was raining on the day we met at the old harbour."
    lines = (Segment(0.0, 4.0, said), Segment(4.5, 8.5, said, language="zh"))
    record = result_record(transcript=transcript_to_json(Transcript("ja", 9.0, lines)))
    connection.store.put(keys.of_run(UNIT.run, keys.RESULT), encode(record))
    options = SubtitleOptions(profile="netflix")
    text = render_result(connection, TENANT, JOB, "srt", options).decode()
    assert text.count("-->") == 2
    assert report_subtitles(connection, TENANT, JOB, "netflix", None).violations == ()
    document = Document(BytesIO(render_result(connection, TENANT, JOB, "docx", OPTIONS)))
    assert document.element.xpath("//w:lang") == []
    assert document.styles.element.xpath("w:docDefaults//w:lang/@w:val") == ["en"]
    assert json.loads(render_result(connection, TENANT, JOB, "json", OPTIONS))["language"] == "ja"


def test_a_failed_job_has_no_transcript_to_print(connection: Cluster) -> None:
    write_records(connection.store, a_manifest())
    connection.store.put(keys.of_run(UNIT.run, keys.RESULT), encode(result_record(canceled=True)))
    with pytest.raises(NotFinished, match="no transcript"):
        render_result(connection, TENANT, JOB, "txt", OPTIONS)


def test_an_unknown_job_has_none_either(connection: Cluster) -> None:
    with pytest.raises(UnknownJob):
        render_result(connection, TENANT, "nobody", "txt", OPTIONS)


def written(connection: Cluster, job: str, stem: str, directory: Path) -> list[Path]:
    return write_results(connection, TENANT, job, stem, directory, ("txt", "vtt"), OPTIONS)


def test_there_is_one_file_for_each_format(connection: Cluster, job: str, tmp_path: Path) -> None:
    paths = written(connection, job, "talk", tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["talk.txt", "talk.vtt"]
    assert paths[0].read_text() == "Guten Tag.\n"
    assert sorted(paths[0].parent.iterdir()) == sorted(paths)


def test_files_have_the_permissions_of_any_new_file(
    connection: Cluster, job: str, tmp_path: Path
) -> None:
    before = os.umask(0o027)
    try:
        path = written(connection, job, "talk", tmp_path)[0]
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_older_file_is_replaced(connection: Cluster, job: str, tmp_path: Path) -> None:
    (tmp_path / "talk.txt").write_text("old and longer than the new one")
    written(connection, job, "talk", tmp_path)
    assert (tmp_path / "talk.txt").read_text() == "Guten Tag.\n"


@pytest.mark.parametrize("stem", ["x" * 300, "é" * 200, "日" * 100])
def test_a_long_name_is_cut_to_what_a_file_system_takes(
    connection: Cluster, job: str, tmp_path: Path, stem: str
) -> None:
    path = written(connection, job, plain_stem(Path(f"{stem}.wav")), tmp_path)[0]
    assert path.is_file()
    assert stem.startswith(path.stem) and len(path.name.encode()) < 255


def test_a_directory_that_cannot_be_written_is_reported(
    connection: Cluster, job: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotWritable, match="cannot be written"):
        written(connection, job, "talk", tmp_path / "file")


def test_a_full_disk_is_reported_and_leaves_no_half_file(
    connection: Cluster, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DiskFull):
        written(connection, job, "talk", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []

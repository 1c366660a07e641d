"""Corrections of lines: versions, two editors at once, and what every export shows."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gpu_worker.assembly.formats import FORMATS
from gpu_worker.assembly.subtitles import SubtitleOptions
from orchestrator.cluster.connection import Cluster, NotFinished, UnknownJob
from orchestrator.results import corrections as module
from orchestrator.results.corrections import (
    LONGEST_TEXT,
    SNAPSHOT,
    Action,
    CorrectionConflict,
    Corrections,
    InvalidCorrection,
    LineChange,
    LineCorrection,
    correct,
    corrections,
)
from orchestrator.results.files import render_result
from tasks.runs import keys
from tests.inputs.doubted import (
    DOUBTED,
    INVENTED,
    RIGHT,
    WRONG,
    publish,
)
from tests.inputs.examples import JOB, TENANT

RIGHT_TEXT = "We met a nice team."


@pytest.fixture
def job(connection: Cluster) -> str:
    return publish(connection)


def change(segment: int, action: Action, text: str | None = None) -> LineChange:
    return LineChange(segment, DOUBTED.segments[segment].start, action, text)


def put(
    cluster: Cluster, *changes: LineChange, run: int = 1, seen: int = 0, by: str = "Anna"
) -> Corrections:
    return correct(cluster, TENANT, JOB, changes, run=run, seen=seen, by=by, key="0a1b")


def all_three(cluster: Cluster) -> Corrections:
    return put(
        cluster,
        change(WRONG, Action.CORRECTED, f"  {RIGHT_TEXT} "),
        change(INVENTED, Action.REFUSED),
        change(RIGHT, Action.CONFIRMED),
    )


def rendered(cluster: Cluster, form: str, **options: Any) -> str:
    return render_result(cluster, TENANT, JOB, form, SubtitleOptions(), **options).decode()


def test_at_first_nothing_is_corrected(connection: Cluster, job: str) -> None:
    assert corrections(connection, TENANT, job, 1) == Corrections(1, 0)
    assert "corrections" not in json.loads(rendered(connection, "json"))


def test_corrections_are_kept_with_who_and_when(connection: Cluster, job: str) -> None:
    said = all_three(connection)
    assert said == corrections(connection, TENANT, job, 1)
    assert (said.version, list(said.lines)) == (1, [WRONG, INVENTED, RIGHT])
    line = said.lines[WRONG]
    assert (line.action, line.text) == (Action.CORRECTED, RIGHT_TEXT)
    assert (line.by, line.key, line.version) == ("Anna", "0a1b", 1) and line.at > 1e9


def test_every_format_has_the_corrected_text_and_no_refused_line(
    connection: Cluster, job: str
) -> None:
    before = {form: rendered(connection, form) for form in FORMATS if form != "docx"}
    all_three(connection)
    for form in ("txt", "srt", "vtt", "tsv", "json"):
        text = rendered(connection, form)
        assert RIGHT_TEXT in text and "ice cream" not in text
        assert "Thanks" not in text and "The ship sails at nine." in text
    assert rendered(connection, "rttm") == before["rttm"]
    for form, text in before.items():
        assert rendered(connection, form, corrected=False) == text


def test_the_json_says_what_was_settled_and_what_is_still_to_be_heard(
    connection: Cluster, job: str
) -> None:
    all_three(connection)
    body = json.loads(rendered(connection, "json"))
    assert body["corrections"] == {"version": 1, "corrected": 1, "refused": 1, "confirmed": 1}
    texts = [segment["text"] for segment in body["segments"]]
    assert texts == [RIGHT_TEXT, "The ship sails at nine.", "No doubt here."]
    assert body["text"] == " ".join(texts)
    assert not any(segment.get("flags") for segment in body["segments"])
    assert body["word_segments"] == [word for it in body["segments"] for word in it["words"]]
    words = {word["word"]: word for word in body["segments"][0]["words"]}
    assert (words["met"]["start"], words["met"]["end"]) == (0.8, 1.1)
    assert "interpolated" not in words["met"] and words["nice"]["interpolated"]
    assert [span.get("segment") for span in body["review"]] == [None]  # of the span without text


def test_places_to_hear_move_with_their_lines(connection: Cluster, job: str) -> None:
    put(connection, change(INVENTED, Action.REFUSED))
    review = json.loads(rendered(connection, "json"))["review"]
    assert [span.get("segment") for span in review] == [None, 0, 1]


def test_a_line_that_is_put_back_is_as_it_was(connection: Cluster, job: str) -> None:
    before = rendered(connection, "json")
    all_three(connection)
    lines = (WRONG, INVENTED, RIGHT)
    said = put(connection, *(change(at, Action.NONE) for at in lines), seen=1)
    assert (said.version, dict(said.standing)) == (2, {})
    assert rendered(connection, "json") == before


def test_two_editors_of_different_lines_lose_nothing(connection: Cluster, job: str) -> None:
    put(connection, change(WRONG, Action.CORRECTED, "One."), by="Anna")
    said = put(connection, change(INVENTED, Action.REFUSED), by="Ben")  # has not seen Anna's
    assert {at: line.by for at, line in said.lines.items()} == {WRONG: "Anna", INVENTED: "Ben"}


def test_the_second_editor_of_the_same_line_is_told_and_nothing_is_stored(
    connection: Cluster, job: str
) -> None:
    put(connection, change(WRONG, Action.CORRECTED, "One."), by="Anna")
    with pytest.raises(CorrectionConflict, match=r"Line 0 .* version 1 by Anna"):
        put(
            connection,
            change(INVENTED, Action.REFUSED),
            change(WRONG, Action.CORRECTED, "Two."),
            by="Ben",
        )
    said = corrections(connection, TENANT, job, 1)
    assert (said.version, list(said.lines)) == (1, [WRONG])
    assert put(connection, change(WRONG, Action.CORRECTED, "Two."), seen=1).version == 2
    with pytest.raises(CorrectionConflict):  # a line that was put back was changed too
        put(connection, change(WRONG, Action.NONE), seen=2)
        put(connection, change(WRONG, Action.REFUSED), seen=2)


def test_a_version_that_there_is_not_was_not_seen(connection: Cluster, job: str) -> None:
    put(connection, change(WRONG, Action.CORRECTED, "One."))
    for seen in (2, 999_999):  # also as in a store that was restored from an earlier copy
        with pytest.raises(CorrectionConflict, match=rf"no version {seen}; the last is 1"):
            put(connection, change(WRONG, Action.REFUSED), seen=seen)


def test_a_change_that_is_sent_twice_is_stored_once(connection: Cluster, job: str) -> None:
    first = all_three(connection)
    assert all_three(connection) == first
    assert put(connection, change(3, Action.NONE)).version == 1


def test_changes_at_once_are_versions_one_after_the_other(connection: Cluster, job: str) -> None:
    lines = list(range(len(DOUBTED.segments)))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda at: put(connection, change(at, Action.CONFIRMED)), lines))
    said = corrections(connection, TENANT, job, 1)
    assert (said.version, list(said.lines)) == (4, lines)


def test_many_versions_are_read_from_the_last_snapshot_on(
    connection: Cluster, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(connection, change(INVENTED, Action.REFUSED))
    for seen in range(1, SNAPSHOT + 3):
        put(connection, change(WRONG, Action.CORRECTED, f"Text {seen}."), seen=seen)
    read: list[int] = []
    get = module._read

    def counted(*place: Any) -> dict[int, LineCorrection]:
        read.append(place[-1])
        return get(*place)

    monkeypatch.setattr(module, "_read", counted)
    said = corrections(connection, TENANT, job, 1)
    assert said.lines[WRONG].text == f"Text {SNAPSHOT + 2}."
    assert said.lines[INVENTED].action is Action.REFUSED
    assert read == list(range(SNAPSHOT, SNAPSHOT + 4))  # the snapshot and three changes


def test_the_transcript_of_a_retry_begins_without_corrections(
    connection: Cluster, job: str
) -> None:
    all_three(connection)
    publish(connection, run=2)
    connection.jobs.forget(TENANT, job)
    said = corrections(connection, TENANT, job, 2)
    assert (said.version, said.other_runs) == (0, (1,))
    assert "ice cream" in rendered(connection, "txt")
    with pytest.raises(CorrectionConflict, match="run 2"):
        put(connection, change(WRONG, Action.CONFIRMED), run=1, seen=1)
    assert put(connection, change(WRONG, Action.CONFIRMED), run=2).version == 1
    assert corrections(connection, TENANT, job, 1).version == 1  # kept


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (LineChange(9, 0.5, Action.CONFIRMED), "no line 9"),
        (LineChange(-1, 8.5, Action.CONFIRMED), "no line -1"),
        (LineChange(WRONG, 0.6, Action.CONFIRMED), "starts at 0.5"),
        (LineChange(WRONG, float("nan"), Action.CONFIRMED), "starts at 0.5"),
        (LineChange(WRONG, 0.5, Action.CORRECTED), "no text"),
        (LineChange(WRONG, 0.5, Action.CORRECTED, " \n\t"), "no text"),
        (LineChange(WRONG, 0.5, Action.CORRECTED, "\u200b \ufeff\u00ad"), "no text"),
        (LineChange(WRONG, 0.5, Action.CONFIRMED, "x"), "a text too"),
        (LineChange(WRONG, 0.5, Action.CORRECTED, "x" * (LONGEST_TEXT + 1)), "1 to"),
        (LineChange(WRONG, 0.5, Action.CORRECTED, "nul\x00"), "control"),
        (LineChange(WRONG, 0.5, Action.CORRECTED, "\u202eesrever"), "control"),
        (LineChange(WRONG, 0.5, Action.CORRECTED, "\ud800"), "control"),
    ],
)
def test_changes_that_do_not_fit_are_refused(
    connection: Cluster, job: str, wish: LineChange, reason: str
) -> None:
    with pytest.raises(InvalidCorrection, match=reason):
        put(connection, wish)
    with pytest.raises(InvalidCorrection, match="twice"):
        put(connection, change(RIGHT, Action.CONFIRMED), change(RIGHT, Action.REFUSED))
    assert corrections(connection, TENANT, job, 1).version == 0


def test_letters_that_are_joined_by_invisible_marks_can_be_written(
    connection: Cluster, job: str
) -> None:
    text = "می‌خواهم 👨‍👩‍👧"
    assert put(connection, change(WRONG, Action.CORRECTED, text)).lines[WRONG].text == text
    assert text in rendered(connection, "txt")


def test_the_number_of_versions_is_bounded(
    connection: Cluster, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_VERSIONS", 1)
    put(connection, change(RIGHT, Action.CONFIRMED))
    with pytest.raises(InvalidCorrection, match="1 versions"):
        put(connection, change(RIGHT, Action.REFUSED), seen=1)


def test_only_a_transcript_can_be_corrected(connection: Cluster) -> None:
    with pytest.raises(UnknownJob):
        put(connection, change(RIGHT, Action.CONFIRMED))
    publish(connection, None)
    with pytest.raises(NotFinished, match="no transcript"):
        put(connection, change(RIGHT, Action.CONFIRMED))


def test_corrections_are_below_the_job_with_which_they_are_deleted(
    connection: Cluster, job: str
) -> None:
    all_three(connection)
    names = list(connection.store.list(keys.job(TENANT, job, "corrections/")))
    assert names == [keys.job(TENANT, job, "corrections/1/000001.json")]


def test_a_snapshot_that_a_copy_of_the_store_lacks_hides_no_earlier_correction(
    connection: Cluster, job: str
) -> None:
    put(connection, change(INVENTED, Action.REFUSED))
    for seen in range(1, SNAPSHOT + 1):
        put(connection, change(WRONG, Action.CORRECTED, f"Text {seen + 1}."), seen=seen)
    connection.store.delete(module._version(TENANT, JOB, 1, SNAPSHOT))
    said = corrections(connection, TENANT, JOB, 1)
    assert said.version == SNAPSHOT + 1
    assert said.lines[INVENTED].action is Action.REFUSED
    assert said.lines[WRONG].text == f"Text {SNAPSHOT + 1}."

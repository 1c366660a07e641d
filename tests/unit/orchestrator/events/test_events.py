"""A job's events follow from its facts: in order, the same every time, and only ever more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cluster.job import Summary
from orchestrator.events import (
    Event,
    Facts,
    Progress,
    end_id,
    events_after,
    position,
    seen_before,
)
from tasks.runs.manifest import Plan
from tasks.runs.stages import Stage
from tasks.state.receipts import Outcome, Receipt
from tests.inputs.examples import a_manifest, a_plan

PLAN = a_plan(10, 10, 10)
SPLIT = PLAN.model_copy(update={"channels": ("l", "r"), "chunk_channels": (0, 0, 1)})
PREPARED = (Stage.PREPARE, 0)
ASSEMBLED = (Stage.ASSEMBLE, 0)
DONE = Summary(language="en")
Unit = tuple[Stage, int]


def heard(*chunks: int) -> list[Unit]:
    return [(Stage.TRANSCRIBE, chunk) for chunk in chunks]


def facts(
    units: Sequence[Unit] = (),
    *,
    plan: Plan | None = PLAN,
    summary: Summary | None = None,
    outcomes: Mapping[Unit, Outcome] | None = None,
    first: int = 1_700_000_000_000,
    **options: Any,
) -> Facts:
    """A run whose units settled in this order, one a second."""
    return Facts(
        manifest=a_manifest(**options),
        run=1,
        plan=plan,
        history=[(f"{first + 1000 * place}-0", unit) for place, unit in enumerate(units)],
        receipts={unit: Receipt((outcomes or {}).get(unit, "computed"), 1.0) for unit in units},
        summary=summary,
    )


def text(chunk: int) -> list[dict[str, Any]]:
    return [{"start": chunk * 10.0, "end": chunk * 10.0 + 1, "text": f"chunk {chunk}", "words": []}]


def told_of(known: Facts) -> list[Event]:
    return [event for event, _ in events_after(known, text)]


def chunks_of(events: Sequence[Event]) -> list[int]:
    return [json.loads(event.data)["chunk"] for event in events if event.kind == "segments"]


def test_first_of_all_comes_the_job_as_it_was_queued() -> None:
    (event,) = told_of(facts(plan=None))
    assert (event.id, event.kind) == ("1.0", "job")
    data = json.loads(event.data)
    assert (data["object"], data["status"]) == ("transcription.job", "queued")
    assert (data["audio_seconds"], data["progress"]) == (None, 0.0)


def test_a_plan_is_not_told_before_it_was_made() -> None:
    first, second = told_of(facts([PREPARED]))
    assert json.loads(first.data)["audio_seconds"] is None
    assert json.loads(second.data)["audio_seconds"] == 30.0
    assert json.loads(second.data)["status"] == "processing"


def test_chunks_are_told_in_order_as_soon_as_all_before_them_are_settled() -> None:
    events = told_of(facts([PREPARED, *heard(1, 0, 2)]))
    assert [event.id.split("-")[-1] for event in events[2:]] == ["0", "0", "0.0", "0.1", "0", "0.2"]
    assert chunks_of(events) == [0, 1, 2]
    assert json.loads(events[4].data)["segments"] == text(0)
    jobs = [json.loads(event.data) for event in events if event.kind == "job"]
    assert [job["chunks"]["done"] for job in jobs] == [0, 0, 1, 2, 3]


def test_words_that_are_timed_by_a_second_model_are_waited_for() -> None:
    units = [PREPARED, *heard(0, 1), (Stage.ALIGN, 1)]
    assert chunks_of(told_of(facts(units, aligner="ctc"))) == []
    assert chunks_of(told_of(facts([*units, (Stage.ALIGN, 0)], aligner="ctc"))) == [0, 1]


def test_a_chunk_that_was_given_up_holds_nobody_up() -> None:
    outcomes: dict[Unit, Outcome] = {(Stage.TRANSCRIBE, 0): "failed", (Stage.ALIGN, 1): "failed"}
    units = [PREPARED, *heard(0, 1), (Stage.ALIGN, 1)]
    events = told_of(facts(units, outcomes=outcomes, aligner="ctc"))
    assert chunks_of(events) == [0, 1]
    assert json.loads(events[-2].data)["chunks"]["failed"] == 1


def test_a_job_that_could_not_be_prepared_has_no_chunks() -> None:
    known = facts([PREPARED, ASSEMBLED], plan=None, outcomes={PREPARED: "failed"})
    assert [event.kind for event in told_of(known)] == ["job", "job", "job"]


def test_what_comes_after_a_lost_receipt_of_prepare_is_told_all_the_same() -> None:
    assert chunks_of(told_of(facts(heard(0)))) == [0]


def test_the_end_is_the_job_with_its_final_status() -> None:
    events = told_of(facts([PREPARED, *heard(0, 1, 2), ASSEMBLED], summary=DONE))
    last = events[-1]
    assert (last.id, last.kind) == (end_id(1), "end")
    data = json.loads(last.data)
    assert (data["status"], data["stage"], data["progress"]) == ("completed", None, 1.0)


def test_text_that_the_history_does_not_bring_comes_before_the_end() -> None:
    events = told_of(facts([PREPARED, *heard(0, 2), ASSEMBLED], summary=DONE))
    assert chunks_of(events) == [0, 1, 2]
    assert [event.id for event in events[-3:]] == ["1.end.1", "1.end.2", "1.end"]


def test_a_receipt_that_comes_after_the_end_changes_nothing() -> None:
    before = facts([PREPARED, *heard(0, 1), ASSEMBLED], summary=DONE)
    after = facts([PREPARED, *heard(0, 1), ASSEMBLED, *heard(2)], summary=DONE)
    assert told_of(before) == told_of(after)


@pytest.mark.parametrize("summary", [Summary(canceled=True), Summary(error={"code": "no_speech"})])
def test_a_job_without_a_transcript_tells_no_more_text(summary: Summary) -> None:
    known = facts([PREPARED, *heard(0)], summary=summary)
    events = told_of(known)
    assert chunks_of(events) == [0]
    assert known.ended and json.loads(events[-1].data)["status"] == known.ended.status


def test_split_channels_are_told_as_one_at_the_end() -> None:
    units = [PREPARED, *heard(0, 1, 2)]
    assert chunks_of(told_of(facts(units, plan=SPLIT))) == []
    assert chunks_of(told_of(facts(units, plan=SPLIT, summary=DONE))) == [0]


def test_the_guess_at_what_is_to_come_follows_from_the_history_alone() -> None:
    known = facts([PREPARED, *heard(0)])
    later = {unit: replace(it, finished_at=5e9) for unit, it in known.receipts.items()}
    events = told_of(replace(known, receipts=later))
    assert events == told_of(known)
    assert json.loads(events[2].data)["eta_seconds"] == 2.0


def test_a_receipt_that_is_gone_counts_as_done() -> None:
    known = replace(facts([PREPARED, *heard(0)]), receipts={})
    assert chunks_of(told_of(known)) == [0]


ORDERS = st.permutations([*heard(0, 1, 2), *((Stage.ALIGN, chunk) for chunk in range(3))])


@pytest.mark.slow
@given(ORDERS, st.integers(0, 7), st.booleans(), st.booleans())
def test_a_longer_history_only_appends(
    units: list[Unit], cut: int, is_aligned: bool, has_ended: bool
) -> None:
    options: dict[str, Any] = {"aligner": "ctc" if is_aligned else "cross_attention"}
    whole = [PREPARED, *units]
    early = facts(whole[:cut], **options)
    late = facts(whole, summary=DONE if has_ended else None, **options)
    before = list(events_after(early, text))
    after = list(events_after(late, text, before[-1][1]))
    assert [event for event, _ in before + after] == told_of(late)
    places = [place for event in told_of(late) if (place := position(event.id)) is not None]
    assert len(places) == len(told_of(late)) and places == sorted(set(places))


def test_after_the_end_nothing_is_told() -> None:
    known = facts([PREPARED, *heard(0, 1, 2)], summary=DONE)
    *_, (_, progress) = events_after(known, text)
    assert list(events_after(known, text, progress)) == []


def test_a_telling_that_broke_off_goes_on_where_it_was() -> None:
    known = facts([PREPARED, *heard(1, 0)])
    before: list[tuple[Event, Progress]] = []

    def broken(chunk: int) -> list[dict[str, Any]]:
        if chunk == 1:
            raise OSError
        return text(chunk)

    with pytest.raises(OSError):
        before.extend(events_after(known, broken))
    assert [event.kind for event, _ in before] == ["job"] * 4 + ["segments"]
    after = events_after(known, text, before[-1][1])
    assert [event for event, _ in [*before, *after]] == told_of(known)


def test_after_a_wipe_the_new_history_is_told_without_the_chunks_that_were() -> None:
    before = facts([PREPARED, *heard(0, 1)])
    *_, (_, progress) = events_after(before, text)
    empty = facts([])
    assert list(events_after(empty, text, progress)) == []
    anew = facts([PREPARED, *heard(0, 1, 2)], first=1_800_000_000_000)
    events = [event for event, _ in events_after(anew, text, progress)]
    assert [event.kind for event in events] == ["job"] * 4 + ["segments"]
    assert chunks_of(events) == [2]


@pytest.mark.parametrize(
    ("id", "place"),
    [
        ("1.0", (1, 0, 0, -1)),
        ("2.1700-3", (2, 1700, 3, -1)),
        ("2.1700-3.4", (2, 1700, 3, 4)),
        *((id, None) for id in ("", "1", "1.1700", "one.0", "1.0-", "1.end.x", "-1.0", "1.0\n")),
        ("9" * 400, None),
    ],
)
def test_an_id_says_where_its_event_stands(id: str, place: tuple[int, ...] | None) -> None:
    assert position(id) == place


def test_ids_sort_as_the_events_do() -> None:
    ids = ["1.0", "1.9-0", "1.9-0.0", "1.9-0.10", "1.9-1", "1.10-0", "1.end.0", "1.end.11", "1.end"]
    places = [position(id) or () for id in ids]
    assert places == sorted(set(places))


def test_another_run_is_told_from_its_start() -> None:
    assert seen_before("1.end", 2) is None
    assert seen_before("nonsense", 1) is seen_before(None, 1) is None
    assert seen_before("1.5-0", 1) == (1, 5, 0, -1)


def test_an_event_is_sent_as_lines_of_which_the_text_cannot_be_one() -> None:
    event = told_of(facts(job="j", plan=None))[0]
    assert event.wire.decode() == f"id: 1.0\nevent: job\ndata: {event.data}\n\n"
    odd = "a\nb\r\x85c\u2028d\u2029é"
    known = facts([PREPARED, *heard(0)])
    *_, (last, _) = events_after(known, lambda chunk: [{"text": odd}])
    assert len(last.wire.decode().splitlines()) == 4
    assert json.loads(last.data)["segments"] == [{"text": odd}]

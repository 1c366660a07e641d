"""Which work is missing, decided from facts alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cluster.queues import lost
from orchestrator.open_runs.needs import RunFacts, needed_units, overdue, pause_after
from tasks.runs.manifest import Plan
from tasks.runs.stages import Stage
from tasks.runs.units import Unit
from tests.inputs.examples import a_manifest, a_plan, a_run, a_unit

PLAN = a_plan(10, 10, 10)
CHUNKS = frozenset((Stage.TRANSCRIBE, index) for index in range(3))
DETECTED = (Stage.DETECT_LANGUAGE, 0)
Settled = frozenset[tuple[Stage, int]]


def facts(
    settled: Settled = frozenset(),
    failed: Settled = frozenset(),
    plan: Plan | None = PLAN,
    language: str | None = "en",
    **options: Any,
) -> RunFacts:
    manifest = a_manifest(language=language, **options)
    return RunFacts(manifest, a_run(), plan, settled | failed, failed)


@pytest.mark.parametrize(
    ("known", "needed"),
    [
        (facts(plan=None), [(Stage.PREPARE, 0)]),
        (facts(language=None), [DETECTED]),
        (facts(frozenset({DETECTED}), language=None), sorted(CHUNKS)),
        (facts(), sorted(CHUNKS)),
        (facts(frozenset({(Stage.TRANSCRIBE, 1)})), [(Stage.TRANSCRIBE, 0), (Stage.TRANSCRIBE, 2)]),
        (facts(CHUNKS), [(Stage.ASSEMBLE, 0)]),
        (facts(frozenset(), CHUNKS), [(Stage.ASSEMBLE, 0)]),
        (facts(frozenset(), frozenset({(Stage.PREPARE, 0)}), plan=None), [(Stage.ASSEMBLE, 0)]),
        (facts(frozenset(), frozenset({DETECTED}), language=None), [(Stage.ASSEMBLE, 0)]),
        (facts(plan=Plan(audio="ab", seconds=0, chunks=())), [(Stage.ASSEMBLE, 0)]),
    ],
)
def test_what_a_run_needs_next(known: RunFacts, needed: list[tuple[Stage, int]]) -> None:
    assert [(unit.stage, unit.index) for unit in needed_units(known)] == needed


ALIGNED = frozenset((Stage.ALIGN, index) for index in range(3))
SHARDS = frozenset((Stage.EMBED_SPEAKERS, index) for index in range(2))


@pytest.mark.parametrize(
    ("settled", "failed", "needed"),
    [
        ([], [], [*sorted(CHUNKS), *sorted(SHARDS)]),
        (CHUNKS, [], [*sorted(ALIGNED), *sorted(SHARDS)]),
        (CHUNKS | SHARDS, [(Stage.TRANSCRIBE, 1)], [(Stage.ALIGN, 0), (Stage.ALIGN, 2)]),
        (CHUNKS | SHARDS | ALIGNED, [], [(Stage.DIARIZE, 0)]),
        (CHUNKS | ALIGNED, SHARDS, [(Stage.DIARIZE, 0)]),
        (CHUNKS | SHARDS, ALIGNED | {(Stage.DIARIZE, 0)}, [(Stage.ASSEMBLE, 0)]),
    ],
)
def test_words_and_speakers_follow_on_what_they_are_made_of(
    settled: Settled, failed: Settled, needed: list[tuple[Stage, int]]
) -> None:
    known = facts(
        frozenset(settled), frozenset(failed), aligner="ctc", diarize=True, shard_seconds=16
    )
    assert [(unit.stage, unit.index) for unit in needed_units(known)] == needed


@given(st.sets(st.sampled_from(sorted(CHUNKS))), st.sets(st.sampled_from(sorted(CHUNKS))))
def test_a_run_always_needs_something_that_is_not_settled(
    done: set[tuple[Stage, int]], failed: set[tuple[Stage, int]]
) -> None:
    settled = frozenset(done | failed)
    needed = needed_units(facts(frozenset(done), frozenset(failed)))
    assert needed
    assert not {(unit.stage, unit.index) for unit in needed} & settled


def test_a_unit_is_overdue_after_its_grace_and_not_before() -> None:
    unit = a_unit()
    seen, suspects = overdue({}, [unit], now=100.0, grace=5.0)
    assert (seen, suspects) == ({unit: 100.0}, ())
    seen, suspects = overdue(seen, [unit], now=104.9, grace=5.0)
    assert suspects == ()
    assert overdue(seen, [unit], now=105.0, grace=5.0)[1] == (unit,)


def test_a_unit_that_was_busy_meanwhile_begins_anew() -> None:
    unit = a_unit()
    seen, _ = overdue({}, [unit], now=100.0, grace=5.0)
    seen, _ = overdue(seen, [], now=103.0, grace=5.0)
    assert overdue(seen, [unit], now=106.0, grace=5.0) == ({unit: 106.0}, ())


@given(
    st.lists(st.tuples(st.floats(0, 10), st.sets(st.integers(0, 3))), min_size=1, max_size=30),
    st.floats(0.1, 20),
)
def test_a_unit_is_suspected_only_if_it_was_idle_in_every_pass_of_its_grace(
    passes: list[tuple[float, set[int]]], grace: float
) -> None:
    now, seen = 0.0, dict[Unit, float]()
    idle_since: dict[int, float] = {}
    for step, idle in passes:
        now += step
        idle_since = {index: idle_since.get(index, now) for index in idle}
        seen, suspects = overdue(seen, [a_unit(index=n) for n in sorted(idle)], now, grace)
        expected = {index for index, since in idle_since.items() if now - since >= grace}
        assert {unit.index for unit in suspects} == expected


def test_what_a_message_waits_for_is_not_lost() -> None:
    waiting, gone = a_unit(index=0), a_unit(index=1)
    assert lost([waiting, gone], {waiting}) == (gone,)


def test_a_chunk_of_a_run_still_to_be_fanned_out_is_not_lost() -> None:
    fan_out = a_unit(Stage.FAN_OUT)
    assert lost([a_unit(index=3)], {fan_out}) == ()
    assert lost([a_unit(index=3, run=2)], {fan_out}) == (a_unit(index=3, run=2),)
    assert lost([a_unit(Stage.ASSEMBLE)], {fan_out}) == (a_unit(Stage.ASSEMBLE),)
    assert lost([a_unit(index=3)], {a_unit(Stage.FAN_OUT, job="other")}) == (a_unit(index=3),)


@pytest.mark.parametrize(
    ("took", "shortest", "pause"),
    [(0.01, 2.0, 2.0), (1.0, 2.0, 4.0), (60.0, 2.0, 10.0), (60.0, 20.0, 20.0)],
)
def test_a_long_pass_is_followed_by_a_longer_pause_within_a_bound(
    took: float, shortest: float, pause: float
) -> None:
    assert pause_after(took, shortest) == pause

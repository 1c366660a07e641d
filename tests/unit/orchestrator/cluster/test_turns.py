"""Since when a unit was asked about is remembered for very many units."""

from __future__ import annotations

from orchestrator.cluster.turns import FORGET_SECONDS, TIMES, Turns, has_turn_to_come
from tasks.runs.stages import Stage
from tests.inputs.examples import a_unit


def test_the_first_question_counts_until_the_unit_is_sent_again() -> None:
    turns = Turns()
    for index in range(3):
        assert turns.first_asked(a_unit(index=index), 10.0) == 10.0
    assert turns.first_asked(a_unit(index=1), 20.0) == 10.0
    assert turns.first_asked(a_unit(index=3), 20.0) == 20.0
    assert turns.first_asked(a_unit(Stage.ALIGN, 1), 30.0) == 30.0
    turns.forget(a_unit(index=1))
    assert turns.first_asked(a_unit(index=1), 40.0) == 40.0
    assert turns.first_asked(a_unit(index=0), 40.0) == 10.0


def test_many_times_of_one_run_are_joined_to_the_later_one() -> None:
    turns = Turns()
    for index in range(TIMES + 1):
        turns.first_asked(a_unit(index=index), float(index))
    assert turns.first_asked(a_unit(index=0), 99.0) == 1.0
    assert turns.first_asked(a_unit(index=TIMES), 99.0) == float(TIMES)


def test_what_is_not_asked_about_is_forgotten() -> None:
    turns = Turns()
    turns.first_asked(a_unit(), 10.0)
    turns.forget_old(10.0 + FORGET_SECONDS)
    assert turns.first_asked(a_unit(), 20.0) == 10.0
    turns.forget_old(21.0 + FORGET_SECONDS)
    assert turns.first_asked(a_unit(), 30.0) == 30.0


def test_a_turn_is_to_come_while_older_messages_are_before_it() -> None:
    assert has_turn_to_come(first_sent=90.0, asked_at=100.0, now=200.0)
    assert not has_turn_to_come(first_sent=130.0, asked_at=100.0, now=200.0)
    assert has_turn_to_come(first_sent=300.0, asked_at=100.0, now=200.0)  # a clock is ahead

"""A form's fields, taken one by one."""

from __future__ import annotations

import pytest

from orchestrator.api.openai.fields import FieldRefused, Fields


def test_fields_are_taken_by_name_with_or_without_brackets() -> None:
    fields = Fields([("a", "1"), ("b[]", "2"), ("b", "3"), ("c[x]", "4"), ("c[y]", "5")])
    assert (fields.one("a"), fields.many("b")) == ("1", ["2", "3"])
    assert fields.inside("c") == {"x": "4", "y": "5"}
    assert (fields.one("a"), fields.many("b"), fields.inside("c")) == (None, [], {})
    fields.close()


def test_an_empty_field_is_not_given() -> None:
    fields = Fields([("a", ""), ("b[]", "")])
    assert (fields.one("a"), fields.many("b")) == (None, [])
    fields.close()


def test_a_field_that_nobody_asked_for_is_named() -> None:
    fields = Fields([("colour", "red"), ("a", "1")])
    fields.one("a")
    with pytest.raises(FieldRefused, match="There is no field 'colour'") as caught:
        fields.close()
    assert caught.value.param == "colour"
    assert caught.value.code == "invalid_option"


def test_one_value_is_asked_for_and_two_are_given() -> None:
    with pytest.raises(FieldRefused, match="a is given 2 times") as caught:
        Fields([("a", "1"), ("a", "2")]).one("a")
    assert caught.value.param == "a"


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("False", False), ("1", True), ("", False)]
)
def test_booleans_are_written_in_many_ways(text: str, value: bool) -> None:
    assert Fields([("stream", text)]).boolean("stream") is value


def test_what_is_no_boolean_and_no_choice_is_refused() -> None:
    with pytest.raises(FieldRefused, match="stream is neither true nor false"):
        Fields([("stream", "perhaps")]).boolean("stream")
    with pytest.raises(FieldRefused, match="task is none of a, b"):
        Fields([("task", "c")]).choice("task", ("a", "b"))
    assert Fields([("task", "b")]).choice("task", ("a", "b")) == "b"

"""The tree of errors is what its docstring draws, and each leaf says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from gpu_worker import errors
from gpu_worker.errors import (
    DiskFull,
    InvalidOption,
    OutOfMemory,
    ScriptoriumError,
    UnreadableAudio,
)


def below(kind: type[ScriptoriumError]) -> Iterator[type[ScriptoriumError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from below(child)


KINDS = list(below(ScriptoriumError))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_is_of_a_branch_that_the_module_describes(kind: type[ScriptoriumError]) -> None:
    branch = kind.__mro__[kind.__mro__.index(ScriptoriumError) - 1]
    assert re.search(rf"^    {branch.__name__} ", errors.__doc__ or "", re.M)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_sentence_and_says_what_to_do(kind: type[ScriptoriumError]) -> None:
    error = kind()
    assert error.message.endswith(".")
    assert error.advice and error.advice[-1] in ".`"
    assert str(error) == error.message


def test_no_two_errors_share_a_code() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)


def test_an_error_becomes_json_with_its_branch() -> None:
    error = UnreadableAudio("It is a picture.", hint="Send sound.")
    assert error.to_json() == {
        "type": "permanent",
        "code": "unreadable_audio",
        "message": "It is a picture.",
        "hint": "Send sound.",
    }


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidOption(), "permanent"),
        (DiskFull(), "transient"),
        (OutOfMemory(), "out_of_memory"),
        (ScriptoriumError(), "permanent"),
    ],
)
def test_the_branch_of_an_error(error: ScriptoriumError, kind: str) -> None:
    assert error.kind == kind

"""A program in a process of its own: its answer, or an error that says how it ended."""

from __future__ import annotations

import pytest

from gpu_worker.audio.child import _death, run_child
from gpu_worker.errors import (
    AudioOutOfBounds,
    ScriptoriumError,
    TransientError,
    UnreadableAudio,
)


def test_the_answer_is_json() -> None:
    request = {"b": 1}
    assert run_child("json.tool", request, (), wall_seconds=60, memory_bytes=1 << 30) == request


def test_a_program_that_fails_says_so_in_its_last_line() -> None:
    with pytest.raises(ScriptoriumError, match="No module named no_such_program"):
        run_child("no_such_program", {}, (), wall_seconds=60, memory_bytes=1 << 30)


def test_a_program_that_takes_too_long_is_ended() -> None:
    with pytest.raises(AudioOutOfBounds, match=r"more than 0\.01 seconds"):
        run_child("json.tool", {}, (), wall_seconds=0.01, memory_bytes=1 << 30)


@pytest.mark.parametrize(
    ("returncode", "kind", "message"),
    [
        (3, ScriptoriumError, "exit 3"),
        (-24, AudioOutOfBounds, "processor time"),
        (-9, TransientError, "signal 9"),
        (-11, UnreadableAudio, "SIGSEGV, at most 512 MB"),
        (-200, UnreadableAudio, "200, at most"),
    ],
)
def test_every_death_has_its_error(
    returncode: int, kind: type[ScriptoriumError], message: str
) -> None:
    error = _death(returncode, b"", 512 << 20)
    assert type(error) is kind and message in error.message


def test_a_library_that_does_not_fit_any_more_is_a_matter_of_memory() -> None:
    stderr = b"Traceback:\nImportError: av.so: failed to map segment from shared object\n"
    error = _death(1, stderr, 64 << 20)
    assert (error.code, error.message) == (
        "audio_out_of_bounds",
        "Reading it takes more than 64 MB.",
    )

"""A program in a process of its own: its answer, or an error that says how it ended."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from gpu_worker.audio.child import ChildBounds, _death, run_child
from gpu_worker.errors import (
    AudioOutOfBounds,
    ScriptoriumError,
    TransientError,
    UnreadableAudio,
)
from tests.eventually import eventually

BOUNDS = ChildBounds(wall_seconds=60.0, memory_bytes=1 << 30)


def test_the_answer_is_what_the_program_printed() -> None:
    request = {"b": 1}
    assert json.loads(run_child("json.tool", request, (), BOUNDS)) == request


def test_a_program_that_fails_says_so_in_its_last_line() -> None:
    with pytest.raises(ScriptoriumError, match="No module named no_such_program"):
        run_child("no_such_program", {}, (), BOUNDS)


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


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, **options: Any) -> bytes:
    """Run a program of these lines, which needs no confinement here."""
    (tmp_path / "intruder.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    bounds = replace(BOUNDS, **options.pop("bounds", {}))
    return run_child("intruder", {}, (), bounds, **options)


def test_a_program_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AudioOutOfBounds, match=r"more than 0\.01 seconds"):
        run(tmp_path, monkeypatch, "import time\ntime.sleep(60)", bounds={"wall_seconds": 0.01})


def test_a_flood_of_answers_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flood = "import os\nwhile True:\n    os.write(1, bytes(65536))"
    with pytest.raises(UnreadableAudio, match="too long"):
        run(tmp_path, monkeypatch, flood)


def test_a_flood_of_complaints_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flood = "import os\nfor _ in range(300):\n    os.write(2, bytes(65536))\nprint(1)"
    assert run(tmp_path, monkeypatch, flood) == b"1\n"


def test_a_long_answer_comes_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os\nos.write(1, b'x' * 900_000)"
    assert len(run(tmp_path, monkeypatch, code)) == 900_000


def test_all_outputs_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "1").open("wb") as one, (tmp_path / "2").open("wb") as two:
        outputs = (one.fileno(), two.fileno())
        code = f"import os\nwhile True:\n    [os.write(n, bytes(4096)) for n in {outputs}]"
        with pytest.raises(AudioOutOfBounds, match="more than 1000000 bytes"):
            run(tmp_path, monkeypatch, code, outputs=outputs, bounds={"output_bytes": 1_000_000})


@pytest.mark.parametrize("ends", ["os._exit(0)", "time.sleep(60)"])
def test_what_a_child_leaves_in_its_group_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    code = f"""
import os, time
if os.fork() == 0:
    time.sleep(60)  # it holds stdout open
print(os.getpid(), flush=True)
{ends}
"""
    began = time.monotonic()
    with suppress(AudioOutOfBounds):
        run(tmp_path, monkeypatch, code, bounds={"wall_seconds": 1.0})
    assert time.monotonic() - began < 30
    assert eventually(lambda: not intruders())


def intruders() -> list[psutil.Process]:
    """Processes of the program that still run."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if "intruder" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def test_a_child_that_closes_its_pipes_and_stays_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import os, time\n[os.close(n) for n in (0, 1, 2)]\ntime.sleep(60)"
    with pytest.raises(AudioOutOfBounds, match="more than"):
        run(tmp_path, monkeypatch, code, bounds={"wall_seconds": 0.5})


def test_the_environment_has_what_python_needs_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    monkeypatch.setenv("REDIS_URL", "redis://:canary@x")
    found = json.loads(
        run(tmp_path, monkeypatch, "import json, os\nprint(json.dumps(dict(os.environ)))")
    )
    assert set(found) <= {"PYTHONPATH", "OPENBLAS_NUM_THREADS", "LD_LIBRARY_PATH", "LC_CTYPE"}

"""Run a program of this package in a child process, which a hostile file may take over.

The child gets one request as JSON and a few open files and no more: no names, no keys, no
addresses. What it answers is bounded here and judged by the caller. With it ends its whole process
group. If it ends without an answer, `run_child` raises an error of `errors.py`. Knows nothing of
what the program does.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_worker.errors import AudioOutOfBounds, ScriptoriumError, TransientError, UnreadableAudio

_PACKAGES = Path(__file__).resolve().parents[2]
_STOPPED_FROM_OUTSIDE = {signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP}
_MOST_ANSWER_BYTES = 1 << 20
_KEPT_COMPLAINT_BYTES = 1 << 16  # the end of stderr, whose last line may say why
_READ_BYTES = 1 << 16
_LONGEST_PAUSE, _SHORTEST_PAUSE = 0.2, 0.001  # seconds between two looks at a child


@dataclass(frozen=True, slots=True)
class ChildBounds:
    """What a child may use before it is killed, or refused.

    `memory_bytes` is for messages alone: the bound that the child was told to set itself.
    """

    wall_seconds: float
    memory_bytes: int
    output_bytes: int = sys.maxsize  # in all of its outputs together


def run_child(
    module: str,
    request: Mapping[str, Any],
    files: Sequence[int],
    bounds: ChildBounds,
    outputs: Sequence[int] = (),
) -> bytes:
    """Run `python -m module` and return what it wrote to stdout, at most 1 MiB.

    It inherits the descriptors in `files` and in `outputs`; the sizes of the latter are bounded
    together. Raises AudioOutOfBounds (time, memory, or output), UnreadableAudio (it crashed, or
    its answer is too long), TransientError (a signal from outside stopped it), ScriptoriumError.
    """
    with subprocess.Popen(
        # -P: Python must not import modules from the working directory. -S: nor run what
        # packages want at every start, which takes time.
        [sys.executable, "-P", "-S", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(*files, *outputs),
        start_new_session=True,
        env=_environment(),
        cwd="/",
    ) as child:
        try:
            answer, complaint = _listen(child, json.dumps(request).encode(), bounds, outputs)
        finally:
            _kill_group(child.pid)
    if child.returncode != 0:
        raise _death(child.returncode, complaint, bounds.memory_bytes)
    return answer


def _listen(
    child: subprocess.Popen[bytes], request: bytes, bounds: ChildBounds, outputs: Sequence[int]
) -> tuple[bytes, bytes]:
    """Send the request; return all of stdout and the end of stderr once the child has ended.

    It is not waited for: until then its process id cannot be another's.
    """
    assert child.stdin and child.stdout and child.stderr
    deadline, pause = time.monotonic() + bounds.wall_seconds, _SHORTEST_PAUSE
    with suppress(BrokenPipeError):  # it ended at once, and how is seen below
        child.stdin.write(request)
        child.stdin.close()
    heard: dict[int, bytearray] = {}
    with selectors.DefaultSelector() as selector:
        for pipe in (child.stdout, child.stderr):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ)
            heard[pipe.fileno()] = bytearray()
        while True:
            has_ended = _has_ended(child)
            came = _hear(selector, heard, 0.0 if has_ended else _LONGEST_PAUSE)
            answer, complaint = heard.values()
            del complaint[:-_KEPT_COMPLAINT_BYTES]
            if len(answer) > _MOST_ANSWER_BYTES:
                raise UnreadableAudio("The decoder's report on this file is too long.")
            if sum(os.fstat(output).st_size for output in outputs) > bounds.output_bytes:
                raise AudioOutOfBounds(
                    f"The decoded audio takes more than {bounds.output_bytes} bytes."
                )
            if has_ended and not came:
                return bytes(answer), bytes(complaint)
            if time.monotonic() > deadline:
                raise AudioOutOfBounds(f"Decoding took more than {bounds.wall_seconds:g} seconds.")
            if not selector.get_map():  # it has closed its ends, as it does just before it exits
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)


def _hear(selector: selectors.BaseSelector, heard: Mapping[int, bytearray], seconds: float) -> bool:
    """Add what can be read to `heard`, and return whether there was anything.

    Wait for it for at most `seconds`. A pipe at its end is forgotten.
    """
    if not selector.get_map():
        return False
    came = False
    for key, _ in selector.select(seconds):
        data = os.read(key.fd, _READ_BYTES)
        heard[key.fd].extend(data)
        came = came or bool(data)
        if not data:
            selector.unregister(key.fd)
    return came


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Return whether a child has ended; where the system can, leave it to be waited for."""
    if sys.platform == "linux":
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, child.pid, how) is not None
    return child.poll() is not None


def _kill_group(leader: int) -> None:
    """Kill the child and all that it left in its process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """Return the child's environment: enough to import the same packages and nothing else."""
    environment = {
        "PYTHONPATH": os.pathsep.join([str(_PACKAGES), *filter(None, sys.path)]),
        "OPENBLAS_NUM_THREADS": "1",  # its buffers, one set a core, would not fit the memory bound
    }
    if "LD_LIBRARY_PATH" in os.environ:  # some interpreters do not start without it
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return environment


def _death(returncode: int, stderr: bytes, memory_bytes: int) -> ScriptoriumError:
    """Return the error for a decoder that ended without a report."""
    if returncode > 0:
        last_line = stderr.decode(errors="replace").strip().rpartition("\n")[2][:500]
        if "failed to map segment" in last_line:  # a library that did not fit any more
            return AudioOutOfBounds(f"Reading it takes more than {memory_bytes >> 20} MB.")
        return ScriptoriumError(f"The decoder failed: {last_line or f'exit {returncode}'}")
    number = -returncode
    if number == signal.SIGXCPU:
        return AudioOutOfBounds("Decoding takes too much processor time for the length of audio.")
    if number in _STOPPED_FROM_OUTSIDE:
        return TransientError(f"The decoder was stopped from outside (signal {number}).")
    name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
    return UnreadableAudio(
        f"The decoder crashed on this file ({name}, at most {memory_bytes >> 20} MB)."
    )

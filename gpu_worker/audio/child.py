"""Run a program of this package in a child process, which a damaged file may crash.

The child gets one request as JSON and a few open files and no more: no names, no keys, no
addresses. Its answer comes back as JSON; if it ends in any other way, `run_child` raises an error
of `errors.py`. Knows nothing of what the program does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpu_worker.errors import AudioOutOfBounds, ScriptoriumError, TransientError, UnreadableAudio

_PACKAGES = Path(__file__).resolve().parents[2]
_STOPPED_FROM_OUTSIDE = {signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP}


def run_child(
    module: str,
    request: Mapping[str, Any],
    files: Sequence[int],
    *,
    wall_seconds: float,
    memory_bytes: int,
) -> dict[str, Any]:
    """Run `python -m module` and return its answer; it inherits the descriptors in `files`.

    After `wall_seconds` the child is killed. `memory_bytes` is for messages alone: the bound
    that the child was told to set itself. Raises AudioOutOfBounds (time, or memory),
    UnreadableAudio (it crashed), TransientError (a signal from outside stopped it),
    ScriptoriumError.
    """
    with subprocess.Popen(
        # -P: Python must not import modules from the working directory.
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=tuple(files),
        start_new_session=True,
        env=_environment(),
        cwd="/",
    ) as child:
        try:
            answer, stderr = child.communicate(json.dumps(request).encode(), timeout=wall_seconds)
        except subprocess.TimeoutExpired as error:
            raise AudioOutOfBounds(f"Decoding took more than {wall_seconds:g} seconds.") from error
        finally:
            if child.poll() is None:
                child.kill()
    if child.returncode != 0:
        raise _death(child.returncode, stderr, memory_bytes)
    report: dict[str, Any] = json.loads(answer)
    return report


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

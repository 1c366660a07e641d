"""Score texts in child processes: they load models and libraries, this process none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gpu_worker import errors
from gpu_worker.accuracy.word_error import WordError
from gpu_worker.errors import LibraryMissing, ScriptoriumError
from gpu_worker.models.faults import TypeUnsupported

Pair = tuple[str, str, str]  # reference, heard, language
NO_LANGUAGE = "en"  # of a recording in which no speech was found, for the normaliser
_EXTRAS = "Install two extras: pip install 'scriptorium[worker,bench]'."


class MeasurementFailed(ScriptoriumError):
    """The process that measures accuracy ended without an answer."""

    code = "measurement_failed"
    hint = "`scriptorium doctor` checks the model libraries."


def count_word_errors(pairs: Sequence[Pair]) -> list[WordError]:
    """Count the word errors of each pair. Raises LibraryMissing or MeasurementFailed."""
    answer = ask("gpu_worker.accuracy.counting", list(pairs)) if pairs else []
    return [WordError(*found) for found in answer]


def score(recordings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what `gpu_worker.accuracy.scoring` answers. Raises as `count_word_errors`."""
    found: dict[str, Any] = ask("gpu_worker.accuracy.scoring", list(recordings))
    return found


def disagreements(pairs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return what `gpu_worker.accuracy.disagreement` answers. Raises as `count_word_errors`."""
    answer = ask("gpu_worker.accuracy.disagreement", list(pairs)) if pairs else []
    return list(answer)


def ask(module: str, request: Any) -> Any:
    """Run a module in a child process with a JSON request; return its answer.

    Raises LibraryMissing or MeasurementFailed.
    """
    child = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if not child.returncode:
        return json.loads(child.stdout)
    reason = (child.stderr.strip().splitlines() or [f"status {child.returncode}"])[-1]
    if "ModuleNotFoundError" in reason:
        raise LibraryMissing(f"Errors cannot be counted here: {reason}.", hint=_EXTRAS)
    raise MeasurementFailed(f"Accuracy could not be measured: {reason}")


def known_error(data: Mapping[str, str], about: str = "") -> ScriptoriumError:
    """Return this JSON as an error of its class, if it is a known one, for the exit status.

    `about`: what the message is about, if it does not say so itself.
    """
    kinds = {
        kind.code: kind
        for kind in (*vars(errors).values(), TypeUnsupported)
        if isinstance(kind, type) and issubclass(kind, ScriptoriumError)
    }
    kind = kinds.get(data["code"], MeasurementFailed)
    return kind(f"{about}{data['message']}", hint=data["hint"])

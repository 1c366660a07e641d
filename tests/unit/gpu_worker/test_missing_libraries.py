"""Without torch a worker transcribes, and says what the rest needs."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest

CALLS = (
    "load_aligner(AlignerRequest('ctc', 'pico-align', 'en'))",
    "load_aligner(AlignerRequest('whisperx', 'pico-align', 'en'))",
    "load_diarizer(DiarizerRequest('pico-voice'))",
)
WITHOUT_TORCH = """
import json, sys
sys.modules["torch"] = None  # as if it were not installed
from gpu_worker.alignment import AlignerRequest
from gpu_worker.loaded import load_aligner
from gpu_worker.diarization import DiarizerRequest
from gpu_worker.loaded import load_diarizer
from gpu_worker.errors import LibraryMissing
import tasks.stages.align, tasks.stages.diarize
import tasks.stages.embed_speakers, tasks.stages.transcribe
told = {}
for call in sys.argv[1:]:
    try:
        eval(call)
    except LibraryMissing as error:
        told[call] = f"{error.code} {error.message} {error.advice}"
print(json.dumps(told))
"""


@cache
def told() -> dict[str, str]:
    """What each call says. One interpreter answers for all: to start one takes seconds."""
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *CALLS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    answers: dict[str, str] = json.loads(ended.stdout)
    return answers


@pytest.mark.parametrize("call", CALLS)
def test_a_missing_library_is_named_with_what_to_install(call: str) -> None:
    assert told()[call].startswith("library_missing ")
    assert "torch" in told()[call] and "scriptorium[worker]" in told()[call]

"""Without torch or whisperX a worker transcribes, and says what the rest needs."""

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
WITHOUT = """
import json, sys
sys.modules[sys.argv[1]] = None  # as if it were not installed
from gpu_worker.alignment import AlignerRequest
from gpu_worker.loaded import load_aligner
from gpu_worker.diarization import DiarizerRequest
from gpu_worker.loaded import load_diarizer
from gpu_worker.errors import LibraryMissing
import tasks.stages.align, tasks.stages.diarize
import tasks.stages.embed_speakers, tasks.stages.transcribe
told = {}
for call in sys.argv[2:]:
    try:
        told[call] = eval(call).name
    except LibraryMissing as error:
        told[call] = f"{error.code} {error.message} {error.advice}"
print(json.dumps(told))
"""


@cache
def told(library: str, *calls: str) -> dict[str, str]:
    """What each call says in a process without the library, or the name of what it loaded.

    One interpreter answers for all: to start one takes seconds.
    """
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT, library, *calls],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    answers: dict[str, str] = json.loads(ended.stdout)
    return answers


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_a_missing_library_is_named_with_what_to_install(call: str) -> None:
    said = told("torch", *CALLS)[call]
    assert said.startswith("library_missing ")
    assert "torch" in said and "scriptorium[worker]" in said


@pytest.mark.slow
@pytest.mark.needs("torch")
def test_without_whisperx_its_extra_is_named_and_the_other_aligner_works() -> None:
    ctc = "load_aligner(AlignerRequest('ctc', 'pico-align', 'en', device='cpu'))"
    whisperx = ctc.replace("ctc", "whisperx")
    answers = told("whisperx", ctc, whisperx)
    assert answers[ctc] == "ctc"
    said = answers[whisperx]
    assert said.startswith("library_missing ")
    assert "scriptorium[worker,whisperx]" in said and "ctc" in said

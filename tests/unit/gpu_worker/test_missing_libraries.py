"""Without torch a worker transcribes, and says what the rest needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # as if it were not installed
from gpu_worker.alignment import AlignerRequest
from gpu_worker.loaded import load_aligner
from gpu_worker.diarization import DiarizerRequest
from gpu_worker.loaded import load_diarizer
from gpu_worker.errors import LibraryMissing
import tasks.stages.align, tasks.stages.diarize
import tasks.stages.embed_speakers, tasks.stages.transcribe
try:
    {call}
except LibraryMissing as error:
    print(error.code, error.message, error.advice)
"""


@pytest.mark.parametrize(
    "call",
    [
        "load_aligner(AlignerRequest('ctc', 'pico-align', 'en'))",
        "load_aligner(AlignerRequest('whisperx', 'pico-align', 'en'))",
        "load_diarizer(DiarizerRequest('pico-voice'))",
    ],
)
def test_a_missing_library_is_named_with_what_to_install(call: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH.format(call=call)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("library_missing ")
    assert "torch" in ended.stdout and "scriptorium[worker]" in ended.stdout

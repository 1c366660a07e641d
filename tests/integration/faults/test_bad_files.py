"""Every file of the corpus through the decoder as workers run it: a code or audio, in bounds."""

from __future__ import annotations

import resource
import time
from collections import Counter
from pathlib import Path

import pytest

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.audio.decoding import decode
from gpu_worker.errors import ScriptoriumError
from tests.inputs.bad_audio import CASES, ODD_CASES
from tests.inputs.hostile_audio import HOSTILE_CASES
from tests.integration.faults.conftest import Figure

FILES = (*CASES, *ODD_CASES, *HOSTILE_CASES)
LIMITS = AudioLimits(wall_seconds=60.0)  # a file that takes so long hangs
SLOW_SECONDS = 30.0


@pytest.mark.heavy
@pytest.mark.fault(
    f"{len(FILES)} bad, odd and hostile files, each to a decoder process",
    "each gets its code and a sentence, or its audio; none hangs or takes more than its memory",
)
def test_every_file_gets_its_code_in_bounds(tmp_path: Path, figure: Figure) -> None:
    ends: Counter[str] = Counter()
    wrong, slowest = [], (0.0, "")
    for number, case in enumerate(FILES):
        directory = tmp_path / str(number)
        directory.mkdir()
        source, began = case.write(directory), time.monotonic()
        try:
            audio = decode(source, directory / "pcm", limits=LIMITS)
        except ScriptoriumError as error:
            code, told = error.code, str(error)
        else:
            code, told = "audio", ""
            if case.seconds is not None and abs(audio.seconds - case.seconds) > 0.1:
                wrong.append(f"{case.label}: {audio.seconds} s of audio")
        slowest = max(slowest, (time.monotonic() - began, case.label))
        ends[code] += 1
        if code != (case.code or "audio") or "Traceback" in told:
            wrong.append(f"{case.label}: {code}: {told}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    figure(
        f"{len(FILES)} files: {', '.join(f'{n} {code}' for code, n in ends.most_common())}; "
        f"tracebacks and wrong codes {len(wrong)}, slowest {slowest[0]:.1f} s ({slowest[1]}), "
        f"largest process {peak >> 20} MB of {LIMITS.memory_bytes >> 20}"
    )
    assert wrong == []
    assert slowest[0] < SLOW_SECONDS
    assert peak <= LIMITS.memory_bytes

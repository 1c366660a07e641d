"""Damage files, and read each as the decoder's process does: `make fuzz`.

Atheris (libFuzzer) sees which of the decoder's Python a file reaches, and keeps the files that
reach something new. FFmpeg itself is not instrumented. An error that the decoder does not explain
is a finding: the file is then in the current directory, as `crash-…`. What FFmpeg itself would
kill is a finding here too; in a worker it ends the child alone, as `unreadable_audio`.

    python -m tests.fuzz_decoder SEEDS -max_total_time=120
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gpu_worker.audio.decoder"]):
    from gpu_worker.audio.decoder import program

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.audio.decoder.mixing import Mixer
from gpu_worker.audio.decoder.sink import Output, Sink
from gpu_worker.errors import ScriptoriumError
from tests.inputs.bad_audio import CASES, ODD_CASES
from tests.inputs.hostile_audio import HOSTILE_CASES

MAX_SEED_BYTES = 100_000
LIMITS = AudioLimits(max_seconds=600.0)
ENDS: Counter[str] = Counter()


def read_one(data: bytes) -> None:
    """Decode the bytes in this process. Raises what the decoder does not explain."""
    media, pcm = os.memfd_create("media"), os.memfd_create("pcm")
    try:
        os.write(media, data)
        os.lseek(media, 0, os.SEEK_SET)
        sink = Sink(Mixer(None, LIMITS), [Output(pcm)], LIMITS)
        program._decode(media, sink, LIMITS, None)
        ENDS["audio"] += 1
    except ScriptoriumError as error:
        ENDS[error.code] += 1
    except program.EXPLAINED as error:
        ENDS[program._explained(error, LIMITS).code] += 1
    finally:
        os.close(media)
        os.close(pcm)
    if sum(ENDS.values()) % 200 == 0:
        print(f"{sum(ENDS.values())} files: {dict(ENDS)}", file=sys.stderr)


def write_seeds(directory: Path) -> None:
    """Write the corpus's files that are small enough."""
    directory.mkdir(parents=True, exist_ok=True)
    for number, case in enumerate((*CASES, *ODD_CASES, *HOSTILE_CASES)):
        content = case.content()
        if len(content) <= MAX_SEED_BYTES:
            (directory / f"seed-{number}").write_bytes(content)


if __name__ == "__main__":
    write_seeds(Path(sys.argv[1]))
    # A process has so much processor time in all; a file that takes too long is seen by -timeout.
    vars(program)["allow_cpu_seconds"] = lambda seconds: None
    atheris.Setup([*sys.argv, f"-max_len={MAX_SEED_BYTES}", "-timeout=30"], read_one)
    atheris.Fuzz()

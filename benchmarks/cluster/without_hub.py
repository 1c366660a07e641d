"""Seven short files where no model hub can be reached: wall time against processor time.

    python -m benchmarks.cluster.without_hub [--model base] [--workers 2] [--json FILE]

The files are pieces of the conversation in pyannote.audio's package; the model comes from its
wheels beforehand. Every proxy points at a port where nothing answers, so the hub's and torch's
servers are silent. One command, `transcribe`, starts a cluster, does all seven and stops it.
Time in which a core waits is wall time without processor time: with two cores the ideal is a
wall time of half of the processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import wave
from importlib.util import find_spec
from pathlib import Path

from benchmarks.machine import ProcessorTime, describe_machine, print_machine
from gpu_worker.models.whisper import fetch_model, find_model

FILES, FIRST_SECOND, SECONDS = 7, 6.5, 3.3
NOWHERE = "http://127.0.0.1:9"
BOUND = 1.3  # times the processor time by the cores


def cut_pieces(directory: Path) -> list[Path]:
    """Seven wav files of 3.3 s each."""
    found = find_spec("pyannote.audio")
    assert found is not None and found.submodule_search_locations
    sample = Path(found.submodule_search_locations[0]) / "sample" / "sample.wav"
    pieces = []
    with wave.open(str(sample)) as whole:
        for number in range(FILES):
            whole.setpos(int((FIRST_SECOND + number * SECONDS) * whole.getframerate()))
            piece = directory / f"call-{number}.wav"
            with wave.open(str(piece), "wb") as file:
                file.setparams(whole.getparams())
                file.writeframes(whole.readframes(int(SECONDS * whole.getframerate())))
            pieces.append(piece)
    return pieces


def main() -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster.without_hub")
    parser.add_argument("--model", default="base")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        models = scratch / "models"
        fetch_model(find_model(given.model), str(models), None, "wheel")
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy"), NOWHERE)
        command = [sys.executable, "-m", "orchestrator.cli", "transcribe", "--model", given.model]
        command += ["--workers", str(given.workers), "-o", str(scratch / "out"), "-f", "txt"]
        command += [str(piece) for piece in cut_pieces(scratch)]
        used, began = ProcessorTime(os.getpid()), time.monotonic()
        done = subprocess.run(
            command,
            env=os.environ
            | proxies
            | {"SCRIPTORIUM_HOME": str(scratch / "home"), "SCRIPTORIUM_MODEL_DIR": str(models)},
            capture_output=True,
            text=True,
            check=False,
        )
        wall = time.monotonic() - began
        ours, others = used.stop()
        texts = [path.read_text().strip() for path in sorted((scratch / "out").glob("*.txt"))]
    print(done.stderr)
    warned = done.stderr.count("words_not_aligned: Words")
    ratio = wall / (ours / min(given.workers, os.cpu_count() or 1))
    print(f"files {len(texts)}, words {sum(len(text.split()) for text in texts)}")
    print(f"wall {wall:.1f} s, processor {ours:.1f} s, of others {others:.1f} s, ratio {ratio:.2f}")
    print(f"warnings of words that are not aligned: {warned}, for all jobs")
    if given.json:
        figures = {"wall": wall, "processor": ours, "others": others, "ratio": ratio}
        machine = describe_machine()
        written = {"machine": machine, "model": given.model} | figures
        given.json.write_text(json.dumps(written, indent=2) + "\n")
    return 0 if done.returncode == 0 and ratio <= BOUND and warned == 1 else 1


if __name__ == "__main__":
    raise SystemExit(main())

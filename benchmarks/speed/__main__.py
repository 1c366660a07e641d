"""How fast ours is beside its peers, on the same real speech, with their word error rates.

    python -m benchmarks.speed [--models tiny.en base] [--workloads long short]
                               [--sides ours batched …] [--rounds 5] [--layers files]
                               [--speech DIRECTORY] [--peers-python PYTHON]
                               [--json benchmarks/results/speed.json]

`long` is one file of ten minutes, `short` sixty files of one minute, of real recordings joined in
other orders each round. Each side is a process (a cluster, for ours) that is warm; the sides take
turns, and only ratios within a round are compared. Models named `…-random` are SYNTHETIC: true
sizes, random weights, a fixed number of tokens, time only. A JSON file keeps what it holds of other
models and workloads. docs/speed.md says how to read the figures.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.accuracy.models import NAMES
from benchmarks.accuracy.recordings import SPEECH
from benchmarks.machine import print_machine
from benchmarks.speed import files
from benchmarks.speed.inputs import WORKLOADS
from benchmarks.speed.models import SYNTHETIC
from benchmarks.speed.sides import SIDES

LAYERS = {"files": files.measure}


class Report:
    """The JSON file, written anew with each part."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        is_there = path is not None and path.is_file()
        self.data: dict[str, Any] = json.loads(path.read_text()) if path and is_there else {}

    def keep(self, layer: str, place: Sequence[str], found: dict[str, Any]) -> None:
        """Put a layer's part in its place, such as files, base, long."""
        data = self.data
        for name in (layer, *place[:-1]):
            data = data.setdefault(name, {})
        data[place[-1]] = found
        if self._path is not None:
            self._path.write_text(json.dumps(self.data, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Measure, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", nargs="+", choices=[*NAMES, *SYNTHETIC], default=list(NAMES))
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--layers", nargs="+", choices=list(LAYERS), default=list(LAYERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=10.0, help="of the long file")
    parser.add_argument("--files", type=int, default=60, help="of one minute, in `short`")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[4, 8, 16], help="to try")
    parser.add_argument("--tokens", type=int, default=100, help="a window, of a synthetic model")
    parser.add_argument(
        "--speech",
        type=Path,
        default=SPEECH if SPEECH.is_dir() else None,
        help="recordings with references; without them pyannote.audio's sample alone is heard",
    )
    parser.add_argument("--model-directory", type=Path, default=None, help="holds NAME/model.bin")
    parser.add_argument(
        "--peers-python",
        type=Path,
        default=Path(sys.executable),
        help="has openai-whisper beside what this one has",
    )
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and end the sides
    print_machine()
    report = Report(given.json)
    with tempfile.TemporaryDirectory(prefix="scriptorium-speed-") as name:
        for layer in given.layers:
            LAYERS[layer](given, Path(name), partial(report.keep, layer))
    print_ratios(report.data)
    return 0


def print_ratios(data: dict[str, Any]) -> None:
    """Ours over each peer, of everything in the report."""
    print("\nours ÷ peer: median of the rounds' ratios (lowest–highest; 95 %), WER of both")
    for model, workloads in data.get("files", {}).items():
        for workload, found in workloads.items():
            mark = " SYNTHETIC" if found["synthetic"] else ""
            for peer, ratio in found["ratios_of_ours"].items():
                rates = [found["summary"][side]["wer_percent"] for side in ("ours", peer)]
                print(
                    f"{model}{mark} {workload:<6} {peer:<14} {ratio['median']:>6.3f} "
                    f"({ratio['lowest']:.3f}–{ratio['highest']:.3f}; {ratio.get('interval')}), "
                    f"{len(ratio['each'])} pairs, "
                    f"{ratio['noisy_pairs']} noisy; {rates[0]} and {rates[1]} %"
                )


if __name__ == "__main__":
    sys.exit(main())

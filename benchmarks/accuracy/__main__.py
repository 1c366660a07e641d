"""How right a transcript is on real speech: ours through a cluster, and three pipelines'.

    python -m benchmarks.accuracy [--models tiny.en base] [--parts words text times speakers]
                                  [--speech DIRECTORY] [--model-directory DIRECTORY]
                                  [--lines FILE] [--json FILE]

words     word error rate of ours, of faster-whisper (sequential, and batched) and of whisperX
text      our engine's text against faster-whisper's on the same windows, to the character
times     our word times by cross-attention against an HMM aligner's
speakers  our diarization error rate and cpWER

All sides have the same model, int8 on the CPU, and are told the language. An English model
is judged on English only; speakers are judged with the last of the models. What is measured,
and how, is in docs/accuracy.md. The exit status is 1 if something is not as wanted there.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from benchmarks.accuracy.lines import LineFile
from benchmarks.accuracy.models import NAMES, WhisperFiles, whisper_files
from benchmarks.accuracy.ours import DIARIZE, JOB_OPTIONS, NAME, OurCluster
from benchmarks.accuracy.ours import SETTINGS as OURS
from benchmarks.accuracy.peers import COMPUTE_TYPE, Line, load_peer, whole_text
from benchmarks.accuracy.peers import SETTINGS as PEERS
from benchmarks.accuracy.recordings import SPEECH, Recording, recordings
from benchmarks.accuracy.same_windows import same_windows_report
from benchmarks.accuracy.speakers import speakers_report
from benchmarks.accuracy.tables import report_tables
from benchmarks.accuracy.word_times import times_report
from benchmarks.accuracy.words import word_errors, words_report
from benchmarks.machine import describe_machine, print_machine
from gpu_worker.accuracy.normaliser import spellings
from gpu_worker.transcript import Transcript

PARTS = ("words", "text", "times", "speakers")
REPORT = Path(__file__).resolve().parents[1] / "results" / "accuracy.json"


class Judge:
    """One model's turn through the parts that were asked for."""

    def __init__(self, files: WhisperFiles, known: Sequence[Recording], lines: LineFile) -> None:
        self._files, self._lines = files, lines
        self._known = [r for r in known if r.language == "en" or not files.is_english]

    def of_cluster(self, parts: Set[str], cluster: OurCluster) -> dict[str, Any]:
        """What needs our jobs: words, times, speakers."""
        found: dict[str, Any] = {}
        with_text = [r for r in self._known if r.text]
        with_times = self._timed(with_text) if "times" in parts else []
        with_turns = [r for r in self._known if r.turns]
        heard: dict[str, dict[str, Transcript]] = {}
        for side, options in JOB_OPTIONS.items():
            if "words" in parts or ("times" in parts and side == NAME):
                heard[side] = cluster.transcribe(self._files, with_text, options)
                self._keep(side, heard[side])
        if "words" in parts:
            ours = {
                side: {name: transcript.text for name, transcript in found_by.items()}
                for side, found_by in heard.items()
            }
            peers = {peer: self._peer_texts(peer, with_text) for peer in PEERS}
            found["words"] = words_report(word_errors(with_text, ours | peers))
        if with_times:
            words = {name: transcript.words for name, transcript in heard[NAME].items()}
            found["times"] = times_report(with_times, words)
        if "speakers" in parts:
            told = cluster.transcribe(self._files, with_turns, DIARIZE)
            found["speakers"] = speakers_report(with_turns, told, str(DIARIZE["diarize_model"]))
        return found

    def of_engine(self) -> dict[str, Any]:
        """The text of our engine against faster-whisper's, on every recording."""
        return {"text": same_windows_report(self._files, self._known)}

    def _timed(self, chosen: Sequence[Recording]) -> list[Recording]:
        if not any(recording.words for recording in chosen):
            return []  # no more than pyannote.audio's sample is there
        from benchmarks.accuracy.hmm import timed  # its aligner is installed by hand

        return timed(chosen)

    def _keep(self, side: str, heard: Mapping[str, Transcript]) -> None:
        for name, transcript in heard.items():
            segments = [Line(s.start, s.end, s.text) for s in transcript.segments]
            self._lines.put(self._files.name, side, name, segments)

    def _peer_texts(self, name: str, chosen: Sequence[Recording]) -> dict[str, str]:
        """A peer's text of each recording, read from the file of lines where it is there."""
        peer = None
        texts = {}
        for recording in chosen:
            lines = self._lines.get(self._files.name, name, recording.name)
            if lines is None:
                peer = peer or load_peer(name, self._files.directory)
                lines = peer.transcribe(recording)
                self._lines.put(self._files.name, name, recording.name, lines)
            texts[recording.name] = whole_text(lines)
        return texts


def judged(given: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Every model; parts by model."""
    known = recordings(given.speech)
    lines = LineFile(given.lines)
    judges = {
        name: Judge(whisper_files(name, given.model_directory), known, lines)
        for name in given.models
    }
    found: dict[str, Any] = {name: {} for name in judges}
    for name, judge in judges.items():
        parts = set(given.parts) - {"text"}
        if name != given.models[-1]:
            parts.discard("speakers")  # voices are told apart by another model, always the same
        if parts:
            with OurCluster(scratch / name) as cluster:
                found[name] |= judge.of_cluster(parts, cluster)
    if "text" in given.parts:
        for name, judge in judges.items():
            found[name] |= judge.of_engine()
    return found


def main() -> int:
    """Print tables and write the JSON; exit status 1 if something is not as wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--speech",
        type=Path,
        default=SPEECH if SPEECH.is_dir() else None,
        help="recordings with references; without them pyannote.audio's sample alone is judged",
    )
    parser.add_argument("--model-directory", type=Path, default=None, help="holds NAME/model.bin")
    parser.add_argument("--lines", type=Path, default=None, help="keeps all sides' segments")
    parser.add_argument(
        "--json", type=Path, default=None, help=f"default: {REPORT.name}, if all is measured"
    )
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and end the cluster
    print_machine()
    with tempfile.TemporaryDirectory(prefix="scriptorium-accuracy-") as name:
        found = judged(given, Path(name))
    report = {
        "machine": describe_machine(),
        "compute_type": COMPUTE_TYPE,
        "sides": OURS | PEERS,
        "spellings": len(spellings()),  # British ones that the normaliser knows; 0: no table
        "models": found,
    }
    print(f"\n{report_tables(report)}")
    is_whole = set(given.parts) == set(PARTS) and set(given.models) == set(NAMES)
    target = given.json or (REPORT if is_whole and given.speech else None)
    if target:
        target.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    parts = [part for model in found.values() for part in model.values()]
    return 0 if all(part.get("met", True) for part in parts) else 1


if __name__ == "__main__":
    sys.exit(main())

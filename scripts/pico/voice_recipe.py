"""Find the hyper-parameters of pyannote's pipeline that suit pico-voice.

    python -m scripts.pico.voice_recipe --model gpu_worker/builtin/pico_voice

Conversations of training voices, and of near relatives of them, are diarized under every
clustering of a grid. Written to `pipeline.json` is the one in the middle of the widest run
of thresholds that are about as good as the best, so that other voices have room on both
sides. The voices of the judged conversation are not among these; `--check` shows theirs,
under another seed, and changes nothing. Needs espeak-ng and flite.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.speakers.diarization_baseline import diarize, load_pipeline, pyannote_file
from gpu_worker.accuracy.speaker_scores import DiarizationError, diarization_error
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Turn
from scripts.make_conversation import VOICES, converse

EN = "espeak:en-us+"
CONVERSATIONS: dict[int, tuple[str, ...]] = {
    101: (f"{EN}f5", f"{EN}m7"),
    102: (f"{EN}f1", f"{EN}m1", "flite:awb"),
    103: (f"{EN}f4", f"{EN}m5", "flite:awb", "flite:kal16", f"{EN}linda"),
    104: (f"{EN}f3", f"{EN}m8", f"{EN}m1", "flite:kal16", f"{EN}belinda", f"{EN}david"),
    105: (f"{EN}m4", f"{EN}steph2", f"{EN}klatt2", f"{EN}gustave"),  # relatives, not trained on
}
CHECK: dict[int, tuple[str, ...]] = {106: VOICES}
EXCLUDE_OVERLAP = True  # the training masks are without overlaps half of the time
METHODS = ("centroid", "average")
MIN_CLUSTER_SIZES = (10, 5)  # the first wins a tie; long files have more strays than these
THRESHOLDS = tuple(round(0.1 * number, 1) for number in range(2, 13))
STEP = 0.2  # of a window; 0.1 gains nothing and takes twice as long
SEGMENTATION = {"threshold": 0.4, "min_duration_off": 0.5}
"""Found with perfect clustering on the check: an error of 1.2 %; min_duration_off 0.1 has 5.9 %,
because it takes breaths out of turns."""
NOTHING = DiarizationError(scored=0.0, missed=0.0, false_alarm=0.0, confusion=0.0)
NEAR = 0.005  # DER above the best that is about as good


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the grid, over all conversations."""

    method: str
    min_cluster_size: int
    threshold: float
    error: DiarizationError = NOTHING
    wrong_counts: int = 0  # conversations whose number of speakers is wrong

    def recipe(self) -> dict[str, Any]:
        """As pipeline.json holds it."""
        return {
            "segmentation_step": STEP,
            "embedding_exclude_overlap": EXCLUDE_OVERLAP,
            "parameters": {
                "segmentation": SEGMENTATION,
                "clustering": {
                    "method": self.method,
                    "threshold": self.threshold,
                    "min_cluster_size": self.min_cluster_size,
                },
            },
        }


def trials(model: Path, seeds: dict[int, tuple[str, ...]], minutes: float) -> list[Trial]:
    """Diarize each conversation at each point; what the clustering does not change is kept."""
    points = itertools.product(METHODS, MIN_CLUSTER_SIZES, THRESHOLDS)
    found = [Trial(*point) for point in points]
    pipeline = load_pipeline(model, found[0].recipe())
    pipeline.training = True  # it then keeps segmentation and embeddings in the file
    for seed, names in seeds.items():
        sound, turns = converse(list(names), minutes, seed)
        reference = [Turn(turn.start, turn.end, turn.speaker) for turn in turns]
        file = pyannote_file(sound)
        for index, trial in enumerate(found):
            pipeline.instantiate(trial.recipe()["parameters"])
            heard = diarize(pipeline, file)
            error = diarization_error(reference, heard, len(sound) / SAMPLE_RATE)
            wrong = len({span.speaker for span in heard}) != len(names)
            found[index] = replace(
                trial, error=trial.error + error, wrong_counts=trial.wrong_counts + wrong
            )
    return found


def best(found: list[Trial]) -> Trial:
    """The middle of the longest run of thresholds that are about as good as the best."""
    fewest = min(trial.wrong_counts for trial in found)
    least = min(trial.error.rate for trial in found if trial.wrong_counts == fewest)

    def good(trial: Trial) -> bool:
        return trial.wrong_counts == fewest and trial.error.rate <= least + NEAR

    runs: list[list[Trial]] = []
    for _, row in itertools.groupby(found, _row):
        runs += [list(run) for is_good, run in itertools.groupby(row, good) if is_good]
    longest = max(runs, key=lambda run: (len(run), -min(trial.error.rate for trial in run)))
    return longest[(len(longest) - 1) // 2]


def _row(trial: Trial) -> tuple[str, int]:
    return trial.method, trial.min_cluster_size


def show(found: list[Trial]) -> None:
    """A line for each row of thresholds: DER in percent, and how many speaker counts are wrong."""
    for (method, size), row in itertools.groupby(found, _row):
        cells = (f"{t.threshold}: {t.error.rate:.1%} ({t.wrong_counts})" for t in row)
        print(f"{method} {size}   " + "  ".join(cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", type=Path, required=True, help="directory of pico-voice")
    parser.add_argument("--minutes", type=float, default=4.0, help="of a conversation")
    parser.add_argument("--check", action="store_true", help="only show the judged voices' errors")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = trials(options.model, CHECK if options.check else CONVERSATIONS, options.minutes)
    show(found)
    if not options.check:
        text = json.dumps(best(found).recipe(), indent=1) + "\n"
        (options.model / "pipeline.json").write_text(text, encoding="utf-8")
        print(text)


if __name__ == "__main__":
    main()

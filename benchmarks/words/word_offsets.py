"""How much too early or too late a model's word times by cross-attention are, as a constant.

    python -m benchmarks.words.word_offsets [--raw] [--models tiny.en base] [--speech DIRECTORY]
                                      [--model-directory DIRECTORY]

Cross-attention of a given model points at words with a delay of its own. The judge is
pocketsphinx' forced aligner (`pip install pocketsphinx`), on recordings that
`benchmarks.accuracy` does not judge word times with. `--raw` measures cross-attention alone,
from which the constant is taken; without it the constant and the pauses are in what is
measured (`word_times.py`, `word_edges.py`), and what is printed is what is left.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.accuracy.hmm import HmmAligner
from benchmarks.accuracy.models import NAMES, WhisperFiles, whisper_files
from benchmarks.accuracy.recordings import SPEECH, Recording, recordings, samples
from benchmarks.machine import print_machine
from gpu_worker.accuracy.word_times import NO_ERRORS, TimeErrors, spread, time_errors
from gpu_worker.audio.samples import Audio
from gpu_worker.transcript import Word
from gpu_worker.transcription.chunk import transcribe_chunk
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest, faster_whisper
from gpu_worker.transcription.engines.faster_whisper import load

CHOSEN = ("sonnet1", "sonnet2")
# The readers say "one" and "two" where the texts have a number, and words of Shakespeare's.
NUMBERS = {"sonnet1": ("I ", "one "), "sonnet2": ("II ", "two ")}
PRONUNCIATIONS = {
    "beauty's": "B Y UW T IY Z",
    "riper": "R AY P ER",
    "feed'st": "F IY D S T",
    "buriest": "B EH R IY AH S T",
    "churl": "CH ER L",
    "mak'st": "M EY K S T",
    "niggarding": "N IH G ER D IH NG",
    "glutton": "G L AH T AH N",
    "tatter'd": "T AE T ER D",
    "thriftless": "TH R IH F T L AH S",
    "deserv'd": "D IH Z ER V D",
    "couldst": "K UH D S T",
    "feel'st": "F IY L S T",
}


def said(recording: Recording) -> str:
    """The text as it is read aloud."""
    number, word = NUMBERS.get(recording.name, ("", ""))
    return word + recording.text.removeprefix(number)


def heard(
    files: WhisperFiles, chosen: tuple[Recording, ...], raw: bool
) -> dict[str, tuple[Word, ...]]:
    """Our words of each recording, timed by cross-attention, in one process."""
    engine = load(EngineRequest(model=files.job, device="cpu", compute_type="int8"))
    if raw:
        engine._attention._offset = 0.0
        faster_whisper.fit_to_sound = _unfitted  # type: ignore[attr-defined]
    found = {}
    for recording in chosen:
        options = DecodeOptions(language=recording.language)
        chunk = transcribe_chunk(engine, samples(recording.path), options)
        found[recording.name] = tuple(word for line in chunk.segments for word in line.words)
    return found


def _unfitted(words: Sequence[Word], audio: Audio) -> tuple[Word, ...]:
    return tuple(words)


def print_errors(name: str, errors: TimeErrors) -> None:
    """A row for the starts and one for the ends."""
    for edge, values in (("start", errors.starts), ("end", errors.ends)):
        row = spread(values)
        print(
            f"{name:<22}{edge:<6}{row.count:>5} of {errors.words:<5}"
            f"{1000 * row.signed_median:>+8.0f}{1000 * row.median:>10.0f}{1000 * row.p95:>10.0f}"
        )


def main() -> None:
    """Print the constant of each model, and the errors that are left without it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--raw", action="store_true", help="cross-attention alone")
    parser.add_argument("--models", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--speech", type=Path, default=SPEECH)
    parser.add_argument("--model-directory", type=Path, default=None)
    given = parser.parse_args()
    print_machine()
    chosen = tuple(r for r in recordings(given.speech) if r.name in CHOSEN)
    judge = HmmAligner(PRONUNCIATIONS)
    true = {r.name: judge.align(samples(r.path), said(r)) for r in chosen}
    print("\nmodel and recording   edge   words       constant ms   |error|: median, 95 % ms")
    for name in given.models:
        ours = heard(whisper_files(name, given.model_directory), chosen, given.raw)
        total = NO_ERRORS
        for recording in chosen:
            errors = time_errors(true[recording.name], ours[recording.name], recording.language)
            print_errors(f"{name} {recording.name}", errors)
            total += errors
        print_errors(f"{name} all", total)
        shift = {"start": spread(total.starts), "end": spread(total.ends)}
        without = TimeErrors(
            tuple(error - shift["start"].signed_median for error in total.starts),
            tuple(error - shift["end"].signed_median for error in total.ends),
            total.words,
        )
        print_errors(f"{name} without it", without)


if __name__ == "__main__":
    main()

"""How often text is written where nothing is said, and what it costs where something is.

    python -m benchmarks.words.invented_text [--model base] [--speech DIR] [--noises DIR]
                                             [--clips 200] [--seed 19] [--json FILE]

Clips of silence, noise, tones, breath, clicks, keys and rooms, and the silent parts of the
recordings in --speech; or, with --noises, the sounds of a directory instead. Each is heard at
Silero's usual threshold and at a low one, where more of it reaches the model: by us as before
(temperatures alone), by us, and by faster-whisper's pipeline with its filter. Then the words of
the labelled recordings, clean and in noise, in the same ways: errors and processor seconds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.accuracy.models import NAMES, whisper_files
from benchmarks.accuracy.recordings import SPEECH, samples
from benchmarks.machine import describe_machine, print_machine
from benchmarks.words.doubt import LANGUAGES, ways
from benchmarks.words.sides import Hear, Sides
from benchmarks.words.soundscapes import SUFFIXES, made, silent_parts
from gpu_worker.accuracy.counting import word_error
from gpu_worker.accuracy.labelled import labelled_files
from gpu_worker.accuracy.word_error import WordError
from gpu_worker.audio.samples import Audio
from gpu_worker.audio.speech import VadOptions
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines import DecodeOptions

THRESHOLDS = (0.5, 0.1)  # of speech detection
BEAMS = 5
PROMPT = "Scriptorium, Celery, RabbitMQ."
HEARD_WAYS = ("clean", "noise +0 dB")


def clips(given: argparse.Namespace) -> Iterator[tuple[str, Audio]]:
    """All clips, by their kind."""
    if given.noises:
        for path in sorted(given.noises.iterdir()):
            if path.suffix in SUFFIXES and not path.stem.startswith("rir"):
                audio, step = samples(path), 10 * SAMPLE_RATE
                for first in range(0, min(len(audio), 10 * step), step):
                    yield path.stem, audio[first : first + step]
        return
    real = list(silent_parts(given.speech))[: given.clips // 3] if given.speech.is_dir() else []
    yield from real
    yield from made(given.clips - len(real), given.seed)


def main() -> None:
    """Print a table of clips, and one of words."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", choices=NAMES, default="base")
    parser.add_argument("--speech", type=Path, default=SPEECH)
    parser.add_argument("--noises", type=Path)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seed", type=int, default=19)
    parser.add_argument("--model-directory", type=Path)
    parser.add_argument("--parts", nargs="*", default=["clips", "words"])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print_machine()
    sides = Sides.load(whisper_files(given.model, given.model_directory).job)
    result = {"machine": describe_machine(), "model": given.model}
    if "clips" in given.parts:
        result["clips"] = _hear_clips(sides, given)
    if "words" in given.parts:
        result["words"] = _hear_words(sides, given.speech)
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _hear_clips(sides: Sides, given: argparse.Namespace) -> dict[str, object]:
    known = list(clips(given))
    rows: dict[str, object] = {"clips": len(known)}
    hears: dict[str, Hear] = {
        "before": sides.before, "ours": sides.after, "faster-whisper": sides.peer,
    }  # fmt: skip
    print(f"\n{len(known)} clips without speech, {given.model}: clips with text")
    print("threshold  prompt  " + "".join(f"{name:>16}" for name in hears))
    for prompt, thresholds in ((None, THRESHOLDS), (PROMPT, THRESHOLDS[-1:])):
        options = DecodeOptions(language="en", beam_size=BEAMS, initial_prompt=prompt)
        for threshold in thresholds:
            vad = VadOptions(threshold=threshold)
            found: dict[str, Counter[str]] = {name: Counter() for name in hears}
            written: list[tuple[str, str]] = []
            for kind, audio in known:
                for name, hear in hears.items():
                    if text := hear(audio, options, vad):
                        found[name][kind.split(" ")[0]] += 1
                        if name == "ours":
                            written.append((kind, text))
            shares = [count.total() / len(known) for count in found.values()]
            print(
                f"{threshold:>9}  {'yes' if prompt else 'no':>6}  "
                + "".join(f"{share:>16.1%}" for share in shares), flush=True,
            )  # fmt: skip
            for kind, text in written:
                print(f"           {kind}: {text[:80]!r}", flush=True)
            key = f"threshold {threshold}" + (" with a prompt" if prompt else "")
            rows[key] = {name: dict(count) for name, count in found.items()}
    return rows


def _hear_words(sides: Sides, directory: Path) -> dict[str, object]:
    hears: dict[str, Hear] = {
        "before": sides.before,
        "second_tries=0": sides.without_doubts,
        "ours": sides.after,
        "faster-whisper": sides.peer,
    }
    errors = {(way, name): WordError(0, 0) for way in HEARD_WAYS for name in hears}
    seconds: Counter[tuple[str, str]] = Counter()
    for file in labelled_files(directory):
        language = LANGUAGES.get(file.path.stem.partition("-")[0], "en")
        options = DecodeOptions(language=language, beam_size=BEAMS)
        for way, audio in ways(samples(file.path)):
            if way not in HEARD_WAYS:
                continue
            for name, hear in hears.items():
                begun = time.process_time()
                text = hear(audio, options, VadOptions())
                seconds[way, name] += time.process_time() - begun  # type: ignore[assignment]
                errors[way, name] += word_error(file.text, text, language)
    print("\nwords of the labelled recordings: errors, WER, processor seconds")
    for way in HEARD_WAYS:
        for name in hears:
            one = errors[way, name]
            print(
                f"{way:<12} {name:<16} {one.words:>6} {one.errors:>5} {one.rate:>7.2%} "
                f"{seconds[way, name]:>8.1f} s",
                flush=True,
            )
    return {
        f"{way}, {name}": [one.words, one.errors, round(seconds[way, name], 1)]
        for (way, name), one in errors.items()
    }


if __name__ == "__main__":
    main()

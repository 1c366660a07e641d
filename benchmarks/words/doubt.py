"""How well the review list finds wrong words, beside the model's log probability alone.

    python -m benchmarks.words.doubt [--model base] [--speech DIRECTORY | --labelled DIRECTORY]
                                     [--model-directory DIRECTORY] [--json FILE]

Each recording is heard as it is, in a room with echoes, and in pink noise that is 9 and 3 dB
quieter than its speech, and as loud. A word is wrong if it is substituted or inserted; lost words
cannot be marked. The worst tenth of all words is taken by each word's own doubt, and by the mean
log probability of its window, as other programs do. `--labelled` takes any directory of recordings
with a .txt each: thresholds were chosen on one, and the figures of docs/doubt.md are of another.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy.models import NAMES, whisper_files
from benchmarks.accuracy.recordings import GERMAN, SPEECH, SPOKEN_WORDS, samples
from benchmarks.machine import describe_machine, print_machine
from gpu_worker.accuracy.judging import wrong_words
from gpu_worker.accuracy.labelled import labelled_files
from gpu_worker.audio.samples import Audio
from gpu_worker.doubt.review import flagged
from gpu_worker.doubt.signs import Surroundings
from gpu_worker.doubt.word_doubt import word_doubt
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.chunk import transcribe_chunk
from gpu_worker.transcription.engines import DecodeOptions, Engine, EngineRequest, faster_whisper

BEAMS = 5  # the default of base and tiny
WORST = 0.1
NOISE_DB = (-9, -3, 0)  # of the noise above the speech
ECHO_SECONDS = 0.5  # in which the echo falls by 60 dB
LANGUAGES = {"es": "es", "de": "de"} | dict.fromkeys(GERMAN, "de")


@dataclass(frozen=True, slots=True)
class JudgedWord:
    """A word that was heard."""

    is_wrong: bool
    doubt: float
    log_probability: float  # of its window
    is_flagged: bool  # its segment is in the review list


def with_echo(audio: Audio, chance: np.random.Generator) -> Audio:
    """The sound in a room: each echo is a random one, and they die away."""
    count = int(ECHO_SECONDS * SAMPLE_RATE)
    fall = 10 ** (-3 * np.arange(count) / count)
    response = 0.1 * chance.standard_normal(count) * fall
    response[0] = 1.0
    size = 2 ** int(np.ceil(np.log2(len(audio) + count)))
    heard = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(response, size), size)
    return scaled(heard[: len(audio)])


def with_noise(audio: Audio, decibels: float, chance: np.random.Generator) -> Audio:
    """The sound in pink noise that is so many dB louder."""
    spectrum = np.fft.rfft(chance.standard_normal(len(audio)))
    noise = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), len(audio))
    noise *= np.sqrt(np.mean(audio**2) / np.mean(noise**2)) * 10 ** (decibels / 20)
    return scaled(audio + noise)


def scaled(audio: np.ndarray) -> Audio:
    """The sound without clipping."""
    return (audio / max(1.0, float(np.abs(audio).max()))).astype(np.float32)


def ways(audio: Audio) -> Iterator[tuple[str, Audio]]:
    """Each way in which a recording is heard, by name; the same each time."""
    chance = np.random.default_rng(19)
    yield "clean", audio
    yield "echo", with_echo(audio, chance)
    for decibels in NOISE_DB:
        yield f"noise {decibels:+d} dB", with_noise(audio, decibels, chance)


def judged(engine: Engine, audio: Audio, text: str, language: str) -> list[JudgedWord]:
    """Hear a recording, and judge each word by the reference."""
    heard = transcribe_chunk(engine, audio, DecodeOptions(language=language, beam_size=BEAMS))
    segments = flagged(heard.segments, Surroundings(language))
    words = [(segment, word) for segment in segments for word in segment.words]
    wrong = wrong_words(text, [word.word for _, word in words], language)
    return [
        JudgedWord(is_wrong, word_doubt(word.score), segment.avg_logprob, bool(segment.flags))
        for is_wrong, (segment, word) in zip(wrong, words, strict=True)
    ]


def worst(words: Sequence[JudgedWord], doubt: Callable[[JudgedWord], float]) -> tuple[float, float]:
    """Precision and recall of the worst tenth of the words, by this doubt."""
    taken = sorted(words, key=doubt, reverse=True)[: round(WORST * len(words))]
    found = sum(word.is_wrong for word in taken)
    return found / len(taken), found / sum(word.is_wrong for word in words)


def main() -> None:
    """Print a row for each way, and the two rankings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", choices=NAMES, default="base")
    parser.add_argument("--speech", type=Path, default=SPEECH)
    parser.add_argument("--labelled", type=Path, help="instead: any recordings, each with a .txt")
    parser.add_argument("--model-directory", type=Path, help="holds NAME/model.bin")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print_machine()
    files = whisper_files(given.model, given.model_directory)
    engine = faster_whisper.load(EngineRequest(files.job, device="cpu", compute_type="int8"))
    known = labelled_files(given.labelled or given.speech)
    if given.labelled is None:
        known = tuple(file for file in known if file.path.stem in SPOKEN_WORDS)
    words: dict[str, list[JudgedWord]] = {}
    for file in known:
        language = LANGUAGES.get(file.path.stem.partition("-")[0], "en")
        for way, audio in ways(samples(file.path)):
            words.setdefault(way, []).extend(judged(engine, audio, file.text, language))
    words["all"] = [word for found in words.values() for word in found]
    print(f"\n{len(known)} recordings, {given.model}; worst {WORST:.0%} of the words")
    print("way            words  wrong   by word doubt     by log probability  in review list")
    print("                              precision recall  precision recall    words prec. recall")
    rows = {}
    for way, found in words.items():
        wrong = sum(word.is_wrong for word in found)
        own = worst(found, lambda word: word.doubt)
        plain = worst(found, lambda word: -word.log_probability)
        listed = [word for word in found if word.is_flagged]
        caught = sum(word.is_wrong for word in listed)
        review = len(listed) / len(found), caught / max(1, len(listed)), caught / wrong
        rows[way] = {
            "words": len(found), "wrong": wrong, "doubt": own, "log_probability": plain,
            "review": review,
        }  # fmt: skip
        print(
            f"{way:<14} {len(found):>5}  {wrong:>5}   {own[0]:>8.1%} {own[1]:>7.1%}  "
            f"{plain[0]:>8.1%} {plain[1]:>7.1%}   "
            f"{review[0]:>6.1%} {review[1]:>5.0%} {review[2]:>6.1%}"
        )
    if given.json:
        result = {"machine": describe_machine(), "model": given.model, "ways": rows}
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

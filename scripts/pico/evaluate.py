"""Measure pico's word error rate on the bundled held-out speech.

    python -m scripts.pico.evaluate [--model DIRECTORY]

Each utterance alone, then a recording of the English ones with gaps, batched
in windows of several lengths, and the bundled sample likewise. Needs only the bundled data.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterable

import jiwer
from faster_whisper import BatchedInferencePipeline, WhisperModel

from gpu_worker.builtin import PICO, SAMPLE
from tests.inputs.speech import Samples, heldout, read_audio, recording

WINDOWS = (4, 6, 8, 10, 15)  # seconds
RECORDING = 600  # seconds


def plain(text: str) -> str:
    """Lower case, without punctuation."""
    return " ".join(re.findall(r"\w+", text.lower()))


def transcribe(model: WhisperModel, samples: Samples, language: str) -> str:
    """Greedy, without timestamps and without falling back to other temperatures."""
    segments, _ = model.transcribe(
        samples, language=language, beam_size=1, temperature=0.0, without_timestamps=True
    )
    return _join(segment.text for segment in segments)


def transcribe_windows(model: WhisperModel, samples: Samples, seconds: int) -> str:
    """The same in batches of windows of at most so many seconds, cut in silence."""
    segments, _ = BatchedInferencePipeline(model).transcribe(
        samples,
        language="en",
        beam_size=1,
        temperature=0.0,
        without_timestamps=True,
        batch_size=8,
        chunk_length=seconds,
    )
    return _join(segment.text for segment in segments)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", default=str(PICO), help="a CTranslate2 model's directory")
    model = WhisperModel(parser.parse_args().model, device="cpu", compute_type="int8")
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for said in heldout():
        pair = (said.text, transcribe(model, said.samples, said.language))
        for group in ("all", said.language, said.voice):
            groups[group].append(pair)
    print(f"{'utterances':24} {'WER':>7}  utterances  words")
    for group, pairs in groups.items():
        truths, found = zip(*pairs, strict=True)
        words = sum(len(text.split()) for text in truths)
        print(f"{group:24} {jiwer.wer(list(truths), list(found)):7.1%}  {len(pairs):10}  {words:5}")
    samples, spoken = recording(RECORDING)
    _print_windows(model, "recording", samples, _join(said.text for said in spoken))
    reference = json.loads(SAMPLE.with_suffix(".json").read_text(encoding="utf-8"))
    _print_windows(model, "sample", read_audio(SAMPLE), reference["text"])


def _print_windows(model: WhisperModel, name: str, samples: Samples, truth: str) -> None:
    print(f"\n{name}: {len(samples) / 16_000:.0f} s, {len(truth.split())} words, batched")
    for seconds in WINDOWS:
        wrong = jiwer.wer(truth, transcribe_windows(model, samples, seconds))
        print(f"windows of {seconds:2} s       {wrong:7.1%}")


def _join(texts: Iterable[str]) -> str:
    return plain(" ".join(texts))


if __name__ == "__main__":
    main()

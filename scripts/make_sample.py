"""Make the bundled sample, a conversation of two voices that pico knows.

    python -m scripts.make_sample

Writes `gpu_worker/builtin/sample/conversation.ogg` and its reference
`conversation.json`: the text, and each turn's speaker, start and end; and `hello.wav`, the first
two seconds of speech, which every engine must hear. Needs espeak-ng and flite.
"""

from __future__ import annotations

import argparse
import json
import random
import wave
from pathlib import Path
from typing import Any

import numpy as np

from gpu_worker.builtin import HELLO, SAMPLE
from gpu_worker.pcm import SAMPLE_RATE
from scripts.opus import write_opus
from scripts.speech import Samples, Utterance, synthesize, voices

SPEAKERS = {"anna": "espeak:en-us+f5", "peter": "espeak:en-us+m7"}
SPEED, PITCH = 151, 51
BETWEEN_TURNS = (0.5, 0.9)  # seconds
BETWEEN_SENTENCES = (0.4, 0.6)  # seconds, of one speaker's turn
NOISE = 0.0005  # standard deviation; no room is silent
SEED = 7
HELLO_SECONDS = 2

# Each line is a turn, each `/` a breath.
CONVERSATION = """
anna: hello peter / good morning
peter: good morning anna / is the new order urgent
anna: yes the order is urgent / the customer will call friday
peter: okay anna / what is the budget
anna: the budget is forty dollars / the old budget was thirty
peter: please send the invoice today
anna: i will send the invoice before the meeting
peter: thank you anna / when is the project review
anna: the review is tuesday morning
peter: not tuesday / maria will call tuesday morning
anna: okay peter / we can move the review to thursday
peter: yes thursday please / what is the report about
anna: it is about the new design / laura will share it tomorrow
peter: where is the contract / is it from thomas
anna: the contract is from maria / thomas will check it next week
peter: should we cancel the second meeting
anna: yes please cancel the meeting with daniel
peter: what about the server
anna: the server is old / we need the new server before sunday
peter: we can finish the server saturday
anna: good peter / i will close the ticket after the call
peter: thank you anna / we will call the customer friday
anna: can you send the report to daniel
peter: yes please check the report tomorrow
anna: thank you peter / have a good week
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=SAMPLE.parent, help="directory to write")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    samples, turns = perform(CONVERSATION)
    noise = np.random.default_rng(SEED).standard_normal(len(samples), dtype=np.float32)
    write_opus(out / SAMPLE.name, samples + NOISE * noise)
    reference = {
        "language": "en",
        "text": " ".join(turn["text"] for turn in turns),
        "turns": turns,
    }
    path = out / SAMPLE.with_suffix(".json").name
    path.write_text(json.dumps(reference, indent=1) + "\n", encoding="utf-8")
    start = round(turns[0]["start"] * SAMPLE_RATE)
    with wave.open(str(out / HELLO.name), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        hello = samples[start : start + HELLO_SECONDS * SAMPLE_RATE]
        file.writeframes((hello * 32767).astype("<i2").tobytes())
    print(f"{len(turns)} turns, {len(samples) / SAMPLE_RATE:.0f} s, in {out}")


def perform(script: str) -> tuple[Samples, list[dict[str, Any]]]:
    """The conversation's sound, and its turns with speaker, text, start and end in seconds."""
    dice = random.Random(SEED)
    known = {str(voice): voice for voice in voices()}
    parts: list[Samples] = []
    turns: list[dict[str, Any]] = []
    position = 0

    def add(sound: Samples) -> None:
        nonlocal position
        parts.append(sound)
        position += len(sound)

    for line in script.strip().splitlines():
        speaker, words = line.split(": ")
        sentences = words.split(" / ")
        add(_silence(dice, BETWEEN_TURNS))
        start = position
        for number, text in enumerate(sentences):
            if number:
                add(_silence(dice, BETWEEN_SENTENCES))
            add(synthesize(Utterance(text, known[SPEAKERS[speaker]], SPEED, PITCH)))
        turns.append(
            {
                "speaker": speaker,
                "voice": SPEAKERS[speaker],
                "start": start / SAMPLE_RATE,
                "end": position / SAMPLE_RATE,
                "text": " ".join(sentences),
            }
        )
    add(_silence(dice, BETWEEN_TURNS))
    return np.concatenate(parts), turns


def _silence(dice: random.Random, seconds: tuple[float, float]) -> Samples:
    return np.zeros(int(dice.uniform(*seconds) * SAMPLE_RATE), np.float32)


if __name__ == "__main__":
    main()

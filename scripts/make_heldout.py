"""Make the held-out speech that pico is measured on: `tests/data/heldout.*`.

    python -m scripts.make_heldout

Its sentences have checksums, and its speeds and pitches are odd numbers, that
`scripts/pico/train.py` never draws. Needs espeak-ng and flite.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from gpu_worker.pcm import SAMPLE_RATE
from scripts.opus import write_opus
from scripts.sentences import sentence
from scripts.speech import check_voices, synthesize, utterance, voices

DATA = Path(__file__).parent.parent / "tests" / "data"
UTTERANCES = 200
SEED = 2024
GAP = 1.3  # seconds of digital silence before each, and after the last


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=DATA, help="directory to write")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    check_voices()
    dice = random.Random(SEED)
    gap = np.zeros(int(GAP * SAMPLE_RATE), np.float32)
    parts, entries, position = [gap], list[dict[str, Any]](), len(gap)
    for number in range(UTTERANCES):
        voice = voices()[number % len(voices())]
        said = utterance(dice, sentence(dice, voice.language, held_out=True), voice, held_out=True)
        sound = synthesize(said)
        parts += [sound, gap]
        entries.append(
            {
                "text": said.text,
                "language": voice.language,
                "voice": str(voice),
                "start": position / SAMPLE_RATE,
                "end": (position + len(sound)) / SAMPLE_RATE,
            }
        )
        position += len(sound) + len(gap)
    write_opus(out / "heldout.ogg", np.concatenate(parts))
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    (out / "heldout.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(entries)} utterances, {position / SAMPLE_RATE:.0f} s, in {out}")


if __name__ == "__main__":
    main()

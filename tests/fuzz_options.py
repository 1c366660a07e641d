"""Give seeded options, sane and hostile, to the door and to the engine of a real model.

    python -m tests.fuzz_options --model pico --sets 20000 --seed 1

A child process decodes, as a worker would: if options end it, or hold it for longer than
PATIENCE_SECONDS, that is counted and another child goes on. One set in ten goes to the engine past
the door, as from a store that was written to by others. Prints a line of JSON with the counts and
the child's memory; the exit status is 1 if there was a death or a hang.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from gpu_worker.errors import InvalidOption
from tasks.runs.options import JobOptions
from tasks.runs.submitted_options import job_options

PATIENCE_SECONDS = 600.0  # the shortest deadline of a unit
BYPASS = 0.1
# Of all kinds: too large, too small, no number, another type, text that is too long or odd.
HOSTILE: tuple[Any, ...] = (
    *(10**30, -(10**30), 5 * 10**8, 2**63, 2**31, 1e-9, 1e300, -1e300, 0, -1, True, None),
    *(float("nan"), float("inf"), "nan", "1e400", "", "x" * 5000, "\x00", "\ud800", "́" * 500),
    *([], [1] * 2000, [5 * 10**8], [-2], ["a"], {}, {"a": 1}, [[1]]),
)
TEXTS = ("Scriptorium, Celery.", "é中ا" * 50, " ", "a " * 900, "<|endoftext|>", "😀")


def option_sets(dice: random.Random, model: str) -> Iterator[dict[str, Any]]:
    """Yield options as a submitter may send them, for ever."""
    schema = JobOptions.model_json_schema()["properties"]
    names = sorted(schema.keys() - {"model", "revision", "compute_type"})
    while True:
        chosen = dice.sample(names, dice.randint(1, 7))
        sane = dice.random() < 0.7
        values = {name: _value(dice, schema[name], sane=sane) for name in chosen}
        yield values | {"model": model}


def _value(dice: random.Random, schema: dict[str, Any], *, sane: bool) -> Any:
    if not sane and dice.random() < 0.5:
        return dice.choice(HOSTILE)
    kind = dice.choice(schema.get("anyOf", [schema]))
    if "enum" in kind or "$ref" in kind:
        return dice.choice(kind.get("enum", ["bulk", "interactive"]))
    low = kind.get("minimum", kind.get("exclusiveMinimum", 0))
    high = kind.get("maximum", kind.get("exclusiveMaximum", 1))
    match kind.get("type"):
        case "integer":
            return dice.choice([low, high, dice.randint(int(low), int(high))])
        case "number":
            return dice.choice([low, high, dice.uniform(low, high)])
        case "boolean":
            return dice.random() < 0.5
        case "string":
            return dice.choice(("en", "es", *TEXTS))
        case "array":
            return [dice.randrange(-1, 60_000) for _ in range(dice.choice([0, 1, 90, 1000]))]
    return None


def decode(work: Connection, model: str) -> None:
    """Decode two seconds of speech with each set of options that comes in; answer how it went."""
    import wave

    import numpy as np

    from gpu_worker.builtin import HELLO
    from gpu_worker.loaded import load_engine
    from gpu_worker.transcription.chunk import transcribe_chunk
    from gpu_worker.transcription.engines import EngineRequest

    engine = load_engine(EngineRequest(model, device="cpu", threads=1))
    with wave.open(str(HELLO)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    audio = (pcm / 32768).astype(np.float32)
    while True:
        options: JobOptions = work.recv()
        try:
            transcribe_chunk(
                engine, audio, options.decode_options("en"),
                batch_size=options.batch_size, vad=options.vad_options(),
            )  # fmt: skip
            answer = "decoded"
        except InvalidOption:
            answer = "refused by the engine"
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        work.send((answer, pages * 4096 / 1e6))


class Child:
    """A process that decodes; another one is started after each death."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._start()

    def _start(self) -> None:
        self._work, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=decode, args=(theirs, self._model), daemon=True
        )
        self._process.start()
        theirs.close()

    def answer(self, options: JobOptions) -> tuple[str, float]:
        """Return how decoding ended, and the child's memory in MB."""
        self._work.send(options)
        told = "hang"
        try:
            if self._work.poll(PATIENCE_SECONDS):
                answer, memory = self._work.recv()
                return answer, memory
        except EOFError:
            told = "death"
        self.end()
        self._start()
        return told, 0.0

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def past_the_door(dice: random.Random) -> JobOptions:
    """Return options that the door would refuse: token ids that no model has."""
    tokens = tuple(dice.choice((5 * 10**8, 2**31 - 1, 60_000, -2, 3)) for _ in range(3))
    return JobOptions(model="pico").model_copy(update={"suppress_tokens": tokens})


def fuzz(model: str, sets: int, seed: int) -> dict[str, Any]:
    """Try the sets of options; return the counts and figures."""
    counts: Counter[str] = Counter()
    memory: list[float] = []
    child, slowest, began = Child(model), 0.0, time.monotonic()
    dice = random.Random(seed)
    for number, values in enumerate(islice(option_sets(dice, model), sets)):
        try:
            options = past_the_door(dice) if dice.random() < BYPASS else job_options(values)
        except InvalidOption:
            counts["refused at the door"] += 1
            continue
        started = time.monotonic()
        told, used = child.answer(options)
        slowest = max(slowest, time.monotonic() - started)
        counts[told] += 1
        memory.append(used)
        if told.startswith(("death", "hang")):
            print(json.dumps({"number": number, "told": told, "options": repr(options)[:2000]}))
    child.end()
    tenth = max(1, len(memory) // 10)
    return {
        "model": model,
        "seed": seed,
        "sets": sets,
        **counts,
        "slowest_s": round(slowest, 2),
        "memory_mb_after_a_tenth": round(max(memory[tenth : 2 * tenth], default=0.0), 1),
        "memory_mb_in_the_last_tenth": round(max(memory[-tenth:], default=0.0), 1),
        "took_s": round(time.monotonic() - began, 1),
    }


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="pico")
    parser.add_argument("--sets", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found = fuzz(given.model, given.sets, given.seed)
    print(json.dumps(found))
    return int(any(name.startswith(("death", "hang")) for name in found))


if __name__ == "__main__":
    raise SystemExit(main())

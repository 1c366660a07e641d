"""Send seeded options, sane and hostile, through a real worker, and count how each set ends.

    python -m tests.fuzz_options pico=18000 tiny.en=2000 [--seed 1] [--json FILE] [--under COMMAND]

For each model there are a Redis, a store and one GPU worker. Options that the door takes become a
job of two seconds of speech, whose `transcribe` is sent to the worker: its lease, its tries and
its artifact are those of any unit. One set in ten goes past the door, straight into the store.
So many sets reach the worker as are asked for; those that the door refuses come on top. With
--under the worker runs under a command, such as valgrind, or env with a checking malloc.

Prints a line of JSON for each set that ended as none should, and one for each model. The exit
status is 1 if there was a death, a hang, or an error that is no refusal.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks.machine import describe_machine, resident_mb
from config.settings import Settings
from gpu_worker.errors import PermanentError
from orchestrator.jobs.options import accepted_options
from tasks.runs.submitted_options import job_options
from tests.one_worker import HANG, Answer, OneWorker, one_worker
from tests.option_sets import option_sets, written_past_the_door

PAST_THE_DOOR = 0.1  # of all sets
IN_FLIGHT = 8  # two more than a worker does at once
SAMPLED = 200  # units between two looks at the worker's memory
DOOR = "refused at the door"
ENDS = {  # by the code of the failure
    "": "decoded",
    "invalid_option": "refused by the engine",
    "unreadable_record": "refused as an unreadable record",
}


def fuzz(model: str, sets: int, seed: int, under: Sequence[str] = ()) -> dict[str, Any]:
    """Try so many sets in a worker; return the counts and figures."""
    counts: Counter[str] = Counter(dict.fromkeys((DOOR, *ENDS.values()), 0))
    faults: Counter[str] = Counter()  # by code
    memory: list[float] = []
    slowest = 0.0
    with TemporaryDirectory() as directory, one_worker(Path(directory), under) as worker:
        jobs = islice(_let_in(random.Random(f"{model} {seed}"), model, counts), sets)
        for number, answer in enumerate(_answers(worker, jobs)):
            slowest = max(slowest, answer.waited_seconds)
            if answer.code in ENDS:
                counts[ENDS[answer.code]] += 1
            else:
                faults[answer.code] += 1
                fault = {"fault": answer.code, "why": answer.message}
                print(json.dumps(fault | {"options": repr(answer.options)[:2000]}), flush=True)
            if number % SAMPLED == 0:
                memory.append(resident_mb(worker.pid))
                print(f"{model}, {number + 1} sets: {dict(counts)}", file=sys.stderr, flush=True)
        worker.look_after()
        memory.append(resident_mb(worker.pid))
        used = psutil.Process(worker.pid).cpu_times()
    return {
        "model": model,
        "seed": seed,
        "sets": sets,
        **counts,
        "hangs": faults.pop(HANG, 0),
        "other_faults": dict(faults),
        "deaths": worker.deaths,
        "slowest_s": round(slowest, 1),
        "processor_s": round(used.user + used.system),
        "memory_mb": {
            "start": round(memory[0], 1),
            "median": round(statistics.median(memory), 1),
            "end": round(memory[-1], 1),
            "max": round(max(memory), 1),
        },
    }


def _let_in(dice: random.Random, model: str, counts: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yield the options of each set that reaches the store; count those that the door refuses."""
    settings = Settings()
    for values in option_sets(dice, model):
        if dice.random() < PAST_THE_DOOR:
            yield written_past_the_door(dice, values)
            continue
        try:
            options = accepted_options(job_options(values), settings)
        except PermanentError:
            counts[DOOR] += 1
        else:
            yield options.model_dump(mode="json")


def _answers(worker: OneWorker, jobs: Iterator[dict[str, Any]]) -> Iterator[Answer]:
    for options in jobs:
        worker.send(options)
        if worker.in_flight == IN_FLIGHT:
            yield worker.answer()
    while worker.in_flight:
        yield worker.answer()


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL=SETS")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--under", type=shlex.split, default=[], metavar="COMMAND")
    given = parser.parse_args()
    found = []
    for model, sets in (name.split("=") for name in given.models):
        found.append(fuzz(model, int(sets), given.seed, given.under))
        print(json.dumps(found[-1]), flush=True)
    if given.json is not None:
        report = {
            "machine": describe_machine(),
            "date": time.strftime("%Y-%m-%d"),
            "models": found,
        }
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return int(any(it["deaths"] or it["hangs"] or it["other_faults"] for it in found))


if __name__ == "__main__":
    raise SystemExit(main())

"""Layers L2 and L3: from files to text, peers in one process each and ours through the cluster.

All sides of a model are in memory at once and take turns; a side that does not start, or fails, is
left out from then on, and the report says why.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine, probe_seconds
from benchmarks.speed.inputs import LONG, Input, Speech
from benchmarks.speed.models import setup_of
from benchmarks.speed.process import Run, SideFailed, SideProcess
from benchmarks.speed.rounds import Sample, order, paired_ratios, summary
from benchmarks.speed.sides import OURS, SIDES, Setup
from gpu_worker.accuracy.counting import word_error

WARM_UP_SEED, TRIAL_SEED = 990, 991  # no round's
USUAL_BATCH = 8
Keep = Callable[[Sequence[str], dict[str, Any]], None]  # writes a part of the report


def measure(given: argparse.Namespace, scratch: Path, keep: Keep) -> None:
    """Every model and workload; after each round the figures so far are kept."""
    speech = Speech(given.speech)
    print(f"{len(speech.lengths)} recordings, {sum(speech.lengths.values()):.0f} s")
    for name in given.models:
        setup = setup_of(name, given.model_directory, scratch, given.tokens)
        with ExitStack() as opened:
            field = Field(setup, given, speech, scratch)
            field.start(opened)
            for workload in given.workloads:
                for found in field.rounds(name, workload):
                    keep((name, workload), found)


class Field:
    """One model's sides, warm, and their turns."""

    def __init__(
        self, setup: Setup, given: argparse.Namespace, speech: Speech, scratch: Path
    ) -> None:
        self._setup, self._given, self._speech, self._scratch = setup, given, speech, scratch
        self._sides: dict[str, SideProcess] = {}
        self._left_out: dict[str, str] = {}
        self._trials: dict[str, dict[int, float]] = {}  # seconds by side and batch size

    def start(self, opened: ExitStack) -> None:
        """Start each side, give it a file, and look for its best batch size."""
        [warm_up] = self._write("short", WARM_UP_SEED, count=1)
        trial = self._write(LONG, TRIAL_SEED)
        for name in self._given.sides:
            kind = SIDES[name]
            if self._setup.forced_tokens is not None and not kind.forces_tokens:
                self._left_out[name] = "It cannot be told a number of tokens."
                continue
            try:
                side = SideProcess(
                    kind, self._setup, self._given.peers_python, self._scratch / f"{name}.log"
                )
                opened.enter_context(side)
                side.warm_up(warm_up.path)
                if kind.has_batches:
                    self._trials[name] = {
                        size: side.transcribe([file.path for file in trial], size).seconds
                        for size in self._given.batch_sizes
                    }
                    print(f"{name}: seconds by batch size {self._trials[name]}", flush=True)
            except SideFailed as error:
                self._left_out[name] = str(error)
                print(f"{name} is left out: {error}", flush=True)
            else:
                self._sides[name] = side

    def rounds(self, model: str, workload: str) -> Any:
        """Yield the report of the rounds so far, after each."""
        samples: list[Sample] = []
        print(f"\n{model} {workload}\n{HEAD}", flush=True)
        for number in range(self._given.rounds):
            files = self._write(workload, number)
            for name in order(tuple(self._sides), number):
                sample = self._sample(name, number, files)
                if sample is not None:
                    samples.append(sample)
                    print(row(sample), flush=True)
            for file in files:
                file.path.unlink()
            yield self._report(samples)

    def _sample(self, name: str, number: int, files: Sequence[Input]) -> Sample | None:
        load, before, size = os.getloadavg()[0], probe_seconds(), self._batch_size(name)
        try:
            run = self._sides[name].transcribe([file.path for file in files], size or USUAL_BATCH)
        except SideFailed as error:
            self._left_out[name] = str(error)
            del self._sides[name]
            print(f"{name} is left out: {error}", flush=True)
            return None
        words, errors = (0, 0) if self._setup.forced_tokens else judged(files, run)
        return Sample(
            round=number,
            side=name,
            seconds=run.seconds,
            audio_seconds=round(sum(file.seconds for file in files), 2),
            batch_size=size,
            words=words,
            errors=errors,
            peak_memory_mb=run.peak_memory_mb,
            cpu_seconds=run.cpu_seconds,
            other_share=run.other_share,
            probe_before=before,
            probe_after=probe_seconds(),
            load_average=round(load, 2),
            busy=run.busy,
        )

    def _batch_size(self, name: str) -> int | None:
        trials = self._trials.get(name)
        return min(trials, key=lambda size: trials[size]) if trials else None

    def _write(self, workload: str, seed: int, count: int | None = None) -> list[Input]:
        return self._speech.write(
            self._scratch / "audio",
            workload,
            seed,
            self._given.minutes,
            self._given.files if count is None else count,
        )

    def _report(self, samples: Sequence[Sample]) -> dict[str, Any]:
        names = list(dict.fromkeys(sample.side for sample in samples))
        return {
            "machine": describe_machine(),
            "synthetic": self._setup.forced_tokens is not None,
            "forced_tokens": self._setup.forced_tokens,
            "recordings": {name: round(each, 2) for name, each in self._speech.lengths.items()},
            "sides": {name: SIDES[name].what for name in names},
            "left_out": self._left_out,
            "batch_trials": self._trials,
            "summary": summary(samples),
            "ratios_of_ours": paired_ratios(samples, OURS),
            "samples": [asdict(sample) | {"noisy": sample.is_noisy} for sample in samples],
        }


def judged(files: Sequence[Input], run: Run) -> tuple[int, int]:
    """Words of all references, and errors."""
    found = [
        word_error(file.text, heard, "en") for file, heard in zip(files, run.texts, strict=True)
    ]
    return sum(each.words for each in found), sum(each.errors for each in found)


HEAD = "round side           seconds  realtime   CPU s   MB peak    WER  others  probe  busy"


def row(sample: Sample) -> str:
    """One sample as a line."""
    rate = f"{100 * sample.errors / sample.words:.1f} %" if sample.words else "–"
    busy = " ".join(f"{worker} {share:.0%}" for worker, share in sample.busy.items())
    return (
        f"{sample.round:>5} {sample.side:<14} {sample.seconds:>7.2f} "
        f"{sample.audio_seconds / sample.seconds:>8.1f}× {sample.cpu_seconds:>7.1f} "
        f"{sample.peak_memory_mb:>9.0f} {rate:>6} {sample.other_share:>7.0%} "
        f"{sample.probe_after / sample.probe_before:>6.2f}  {busy}"
        f"{'  noisy' if sample.is_noisy else ''}"
    )

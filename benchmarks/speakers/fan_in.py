"""How long the clustering of a whole file takes, and how much memory its fan-in.

    python -m benchmarks.speakers.fan_in [--hours 1 10] [--embeddings 1000 2000 4000 8000]

Each figure is of a process of its own. First scipy's centroid linkage by itself, which
pyannote's clusterings begin with, for random embeddings of 256 numbers. Then the whole
fan-in of a made-up conversation, with the community pipeline's shapes: windows of 10 s
every second, 589 frames, 3 local speakers, VBx. Its weights are random and are not run: the
windows are made from known turns. Needs the packages of the worker. Exit status 1 if a
fan-in held 2 GB or more, or took longer than a hundredth of its audio.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.machine import print_machine
from gpu_worker.diarization import DiarizerRequest, ShardVoices, SpeakerBounds
from gpu_worker.pcm import SAMPLE_RATE

_BOUND_MB = 2000
_DIMENSION, _SPEAKERS, _LOCAL, _FRAMES = 256, 6, 3, 589
_SHARD_WINDOWS = 256
_SLOTS = 10  # a second; who speaks is decided for each


def measure_linkage(count: int) -> None:
    """Print the CPU seconds of scipy's centroid linkage."""
    from scipy.cluster.hierarchy import linkage

    vectors = np.random.default_rng(0).normal(size=(count, _DIMENSION))
    begin = time.process_time()
    linkage(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), method="centroid")
    _report(begin)


def measure_fan_in(hours: float, directory: Path) -> None:
    """Print the CPU seconds and the memory of `Diarizer.cluster`."""
    from gpu_worker.diarization.pretrained import load

    diarizer = load(DiarizerRequest(str(directory), device="cpu"))
    samples = round(hours * 3600) * SAMPLE_RATE
    before_mb = _peak_mb()
    begin = time.process_time()
    found = diarizer.cluster(
        conversation(diarizer.grid.window_count(samples)), samples, SpeakerBounds()
    )
    _report(begin, f"{before_mb:.0f}", f"{len(found.turns)}", f"{len(found.speakers)}")


def conversation(windows: int) -> Iterator[ShardVoices]:
    """Shards of a talk of six, who each speak for some seconds, now and then at once."""
    rng = np.random.default_rng(0)
    centroids = rng.normal(size=(_SPEAKERS, _DIMENSION)).astype(np.float32)
    spoken = _timeline(rng, (windows + 10) * _SLOTS)
    slots = np.arange(_FRAMES) * 10 * _SLOTS // _FRAMES
    for first in range(0, windows, _SHARD_WINDOWS):
        count = min(_SHARD_WINDOWS, windows - first)
        heard = np.zeros((count, _FRAMES, _LOCAL), dtype=np.bool_)
        voices = np.full((count, _LOCAL, _DIMENSION), 0.01, dtype=np.float32)
        for index in range(count):
            active = spoken[(first + index) * _SLOTS + slots]
            busiest = np.argsort(-active.sum(axis=0), kind="stable")[:_LOCAL]
            people = rng.permutation(busiest)
            heard[index] = active[:, people]
            noise = rng.normal(scale=0.5, size=(_LOCAL, _DIMENSION))
            voices[index] = centroids[people] + noise.astype(np.float32)
        yield ShardVoices(first, heard, voices)


def _timeline(rng: np.random.Generator, slots: int) -> np.ndarray:
    """Who speaks in each slot, shape (slots, speakers)."""
    spoken = np.zeros((slots, _SPEAKERS), dtype=np.bool_)
    at = 0
    while at < slots:
        length = int(rng.integers(5, 80))
        spoken[at : at + length, rng.integers(_SPEAKERS)] = True
        at += length + int(rng.integers(-5, 10))
        at = max(at, 0)
    return spoken


def _peak_mb() -> float:
    """Of this program alone: Linux counts in ru_maxrss the parent's, up to the `exec`."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def _report(begin: float, *more: str) -> None:
    print(f"{time.process_time() - begin:.1f}", f"{_peak_mb():.0f}", *more)


def _in_child(*arguments: str) -> list[str]:
    """What the child's last line says."""
    command = [sys.executable, "-m", "benchmarks.speakers.fan_in", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return ended.stdout.strip().splitlines()[-1].split()


def main() -> int:
    """Print the figures as a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--embeddings", type=int, nargs="*", default=[1000, 2000, 4000, 8000])
    parser.add_argument("--hours", type=float, nargs="*", default=[1.0, 10.0])
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "SIZE"), help=argparse.SUPPRESS)
    parser.add_argument("--pipeline", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        what, size = given.child
        if what == "linkage":
            measure_linkage(int(size))
        else:
            measure_fan_in(float(size), given.pipeline)
        return 0
    print_machine()
    return _tables(given.embeddings, given.hours)


def _tables(embeddings: list[int], hours: list[float]) -> int:
    from tests.inputs.pyannote_directory import write_pipeline

    status = 0
    print("\nlinkage    embeddings    CPU s  peak MB")
    for count in embeddings:
        seconds, peak = _in_child("--child", "linkage", str(count))
        print(f"           {count:>10}  {seconds:>7}  {peak:>7}", flush=True)
    print("\nfan-in     hours    CPU s  peak MB  MB before  turns  speakers")
    with tempfile.TemporaryDirectory() as name:
        pipeline = write_pipeline(Path(name))
        for length in hours:
            child = ("--child", "fan-in", str(length), "--pipeline", str(pipeline))
            seconds, peak, before, turns, speakers = _in_child(*child)
            print(
                f"           {length:>5g}  {seconds:>7}  {peak:>7}  {before:>9}  {turns:>5}  "
                f"{speakers:>8}",
                flush=True,
            )
            if float(peak) >= _BOUND_MB or float(seconds) > length * 36:
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())

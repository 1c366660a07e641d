"""The part that asks what it brings to let the windows of many threads share batches."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from benchmarks.on_gpu.bench import GREEDY, Bench, seconds
from gpu_worker.audio.samples import Audio
from gpu_worker.devices.batcher import Batcher
from gpu_worker.transcription.chunk import CPU_WINDOWS, WindowBatcher
from gpu_worker.transcription.engines.faster_whisper import FasterWhisperEngine

THREADS = 16


def batcher(bench: Bench) -> dict[str, Any]:
    """Sixteen threads with a few windows each: through the batcher, and each in its own batches."""
    engine = bench.engine()
    each, largest = (8, 64) if bench.is_gpu else (1, CPU_WINDOWS)
    units = [bench.repeated(THREADS * each)[first::THREADS] for first in range(THREADS)]
    fills: list[tuple[int, int]] = []
    shared = Batcher(engine.decode, on_batch=lambda items, size: fills.append((items, size)))
    apart_seconds = seconds(partial(apart, engine, units), bench.rounds)
    together_seconds = seconds(partial(together, engine, shared, units, largest), bench.rounds)
    windows = THREADS * each
    return {
        "threads": THREADS,
        "windows_of_each": each,
        "largest_batch": largest,
        "batches": len(fills) // (bench.rounds + 1),
        "mean_fill": round(sum(items for items, _ in fills) / sum(size for _, size in fills), 3),
        "windows_a_second_together": round(windows / together_seconds, 1),
        "windows_a_second_one_batch_after_another": round(windows / apart_seconds, 1),
    }


def apart(engine: FasterWhisperEngine, units: Sequence[Sequence[Audio]]) -> None:
    """One batch for each unit, one after another."""
    for windows in units:
        engine.transcribe(windows, GREEDY)


def together(
    engine: FasterWhisperEngine,
    shared: WindowBatcher,
    units: Sequence[Sequence[Audio]],
    largest: int,
) -> None:
    """All units at once, as the threads of a worker bring them."""

    def work(windows: Sequence[Audio]) -> None:
        with shared.coming():
            prepared = [engine.prepare(window) for window in windows]
        shared.run(prepared, GREEDY, largest)

    with ThreadPoolExecutor(len(units)) as threads:
        list(threads.map(work, units))

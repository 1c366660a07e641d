"""Parts that ask whether the device times words as the CPU does, and how fast it does each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

from benchmarks.on_gpu.bench import Bench, seconds
from gpu_worker.alignment import AlignerRequest, SpokenWindow, align
from gpu_worker.alignment.ctc import load as load_ctc
from gpu_worker.alignment.emissions import EmissionModel
from gpu_worker.alignment.networks import HubModel
from gpu_worker.alignment.trellis import (
    NUMPY,
    Library,
    SymbolPath,
    _best_paths,
    align_symbols,
    torch_library,
)
from gpu_worker.pcm import SAMPLE_RATE

SPOKEN = ("good", "morning", "anna", "how", "are", "you", "today", "peter")
FRAMES, COLUMNS, SYMBOLS = 1499, 29, 400  # of a window of 30 s, as wav2vec2 hears it


def alignment(bench: Bench) -> dict[str, Any]:
    """pico-align's CTC on this device beside the CPU: word times and speed."""
    request = AlignerRequest("ctc", "pico-align", "en", device="cpu")
    here, there = load_ctc(request), load_ctc(replace(request, device=bench.device))
    batch = [SpokenWindow(window, SPOKEN) for window in bench.repeated(16 if bench.is_gpu else 4)]
    far = [
        abs(a.start - b.start)
        for one, other in zip(align(here, batch), align(there, batch), strict=True)
        for a, b in zip(one, other, strict=True)
    ]
    return {
        "largest_difference_ms": round(1000 * max(far), 1),
        "ms_a_window": round(
            1000 * seconds(partial(align, there, batch), bench.rounds) / len(batch), 2
        ),
        "cpu_ms_a_window": round(1000 * seconds(partial(align, here, batch), 1) / len(batch), 2),
    }


def trellis(bench: Bench) -> dict[str, Any]:
    """The search of paths on the host, the emissions' way to it included, and on the device."""
    dice = np.random.default_rng(0)
    found = {}
    for size in (1, 8, 16, 32, 64) if bench.is_gpu else (1, 4):
        logits = torch.from_numpy(dice.normal(0, 4, (size, FRAMES, COLUMNS)).astype(np.float32))
        emissions = list(torch.log_softmax(logits.to(bench.device), -1))
        symbols = [dice.integers(-1, COLUMNS, SYMBOLS) for _ in emissions]
        host = partial(_on_host, emissions, symbols)
        library = torch_library(bench.device)
        device = torch.inference_mode()(partial(align_symbols, emissions, symbols, 0, library))
        taken = {
            "host_ms_a_window": seconds(host, bench.rounds),
            "device_ms_a_window": seconds(device, bench.rounds),
        }
        if bench.is_gpu:
            taken["graph_ms_a_window"] = seconds(_graph(size, library), bench.rounds)
        found[str(size)] = {name: round(1000 * took / size, 3) for name, took in taken.items()} | {
            "equal_paths": sum(map(_are_equal, host(), device()))
        }
    return found


def _on_host(
    emissions: Sequence[torch.Tensor], symbols: Sequence[np.ndarray[Any, Any]]
) -> list[SymbolPath | None]:
    return align_symbols([one.cpu().numpy() for one in emissions], symbols, 0, NUMPY)


def _are_equal(one: SymbolPath | None, other: SymbolPath | None) -> bool:
    if one is None or other is None:
        return one is other
    pairs = ((one.starts, other.starts), (one.ends, other.ends), (one.scores, other.scores))
    return all(np.array_equal(mine, its) for mine, its in pairs)


def _graph(size: int, library: Library) -> Callable[[], None]:
    """The launches of a search as one CUDA graph: what they cost when Python sends none of them."""
    scores = library.zeros((FRAMES, size, SYMBOLS))
    blanks, of_each = library.zeros((FRAMES, size)), library.zeros(size, dtype=torch.int64)
    search = partial(_best_paths, scores, blanks, of_each + SYMBOLS, of_each + FRAMES, library)
    search()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        search()

    def replay() -> None:
        graph.replay()
        torch.cuda.synchronize()

    return replay


def convolutions(bench: Bench) -> dict[str, Any]:
    """A model of wav2vec2's base size with random weights: its first half one by one, and not.

    Emissions of short windows whose convolutions run one window at a time and several at once.
    """
    torch.manual_seed(0)
    config = Wav2Vec2Config() if bench.is_gpu else Wav2Vec2Config(num_hidden_layers=1)
    network = HubModel(Wav2Vec2ForCTC(config).eval().to(bench.device), {"-": 0})
    kind = "float16" if bench.is_gpu else "float32"
    dice = np.random.default_rng(0)
    found = {}
    for length in (2, 10, 30) if bench.is_gpu else (1,):
        count = 32 if bench.is_gpu else 2
        windows = [
            dice.normal(0, 0.1, length * SAMPLE_RATE).astype(np.float32) for _ in range(count)
        ]
        found[f"{length} s"] = {
            name: round(1000 * seconds(partial(model.emissions, windows), bench.rounds) / count, 3)
            for name, model in (
                ("ms_a_window_one_by_one", EmissionModel(network, bench.device, kind, 0.0)),
                ("ms_a_window_at_once", EmissionModel(network, bench.device, kind, 30.0)),
            )
        }
    return found

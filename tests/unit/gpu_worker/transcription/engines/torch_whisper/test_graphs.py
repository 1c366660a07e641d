"""Steps run as they are on a CPU, and where a graph cannot be captured."""

from __future__ import annotations

import pytest
import torch

from benchmarks.engines.shapes import Shape, random_model
from gpu_worker.transcription.engines.torch_whisper.graphs import StepGraphs
from gpu_worker.transcription.engines.torch_whisper.network import build_network
from gpu_worker.transcription.engines.torch_whisper.precision import Precision
from gpu_worker.transcription.engines.torch_whisper.steps import Page, new_page

pytestmark = pytest.mark.slow  # it imports torch


@pytest.fixture
def page() -> Page:
    weights, _ = random_model(Shape(64, 4, 1, 1, vocabulary=50))
    network = build_network(weights, Precision(torch.float32, torch.float32), "cpu")
    return new_page(network.decoder, 2, 1500, ())


def test_a_step_on_a_cpu_is_run_each_time(page: Page) -> None:
    graphs, runs = StepGraphs(page), []
    for number in range(3):
        graphs.run("same", lambda number=number: runs.append(number))  # type: ignore[misc]
    assert runs == [0, 1, 2]


def test_steps_run_as_they_are_after_a_capture_has_failed(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs, runs, tries = StepGraphs(page), [], []

    def broken(step: object) -> None:
        tries.append(step)
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    monkeypatch.setattr(graphs, "_captures", True)
    monkeypatch.setattr(graphs, "_captured", broken)
    for key in ("one", "other", "one"):
        graphs.run(key, lambda key=key: runs.append(key))  # type: ignore[misc]
    assert runs == ["one", "other", "one"]
    assert len(tries) == 1

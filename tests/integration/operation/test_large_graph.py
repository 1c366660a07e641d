"""The encoder of a large model as an ONNX graph: the weights do not fit into one file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gpu_worker.devices.onnx_session import CPU, Offer, start
from gpu_worker.transcription.engines.torch_whisper.encoder import Encoder
from gpu_worker.transcription.engines.torch_whisper.onnx_graph import locked, whole_graph

ENOUGH = 2 * 1024**3  # bytes that a file of protobuf may have


def never() -> Encoder:
    """For a graph that is there."""
    raise AssertionError("the graph was not found")


@pytest.mark.heavy
def test_weights_beyond_two_gib_lie_beside_the_graph_and_are_found_again(tmp_path: Path) -> None:
    """As those of large-v3 do in float32; it takes 8 GB of memory."""
    directory = tmp_path / "onnx" / "any"
    encoder = Encoder(80, 1500, 4096, 64, 3).eval().requires_grad_(False)
    torch.nn.init.zeros_(encoder.positional_embedding)
    with locked(directory):
        file = whole_graph(directory, lambda: encoder)
        assert whole_graph(directory, never) == file
    sizes = [path.stat().st_size for path in directory.iterdir()]
    assert sum(sizes) > ENOUGH > max(sizes)
    assert start(file, (Offer(CPU),), 2) is not None

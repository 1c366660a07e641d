"""The encoder's graph is written once, found again, and written anew if it is broken."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.engines.shapes import Shape, random_model
from gpu_worker.errors import LibraryMissing, ModelUnavailable
from gpu_worker.models.weights.whisper import WhisperWeights
from gpu_worker.transcription.engines.torch_whisper.encoder import Encoder
from gpu_worker.transcription.engines.torch_whisper.network import build_encoder
from gpu_worker.transcription.engines.torch_whisper.onnx_graph import (
    GRAPH,
    graph_directory,
    locked,
    whole_graph,
)

pytestmark = pytest.mark.slow  # it imports torch

SHAPE = Shape(64, 4, 1, 1, vocabulary=100)
KIND = torch.float32


@pytest.fixture(scope="module")
def weights() -> WhisperWeights:
    return random_model(SHAPE)[0]


@dataclass
class Builds:
    """Makes the encoder, and counts how often."""

    weights: WhisperWeights
    count: int = 0

    def __call__(self) -> Encoder:
        self.count += 1
        return build_encoder(self.weights, KIND, "cpu")


@pytest.fixture
def builds(weights: WhisperWeights) -> Builds:
    return Builds(weights)


@pytest.fixture
def directory(weights: WhisperWeights, tmp_path: Path) -> Path:
    return graph_directory(tmp_path, "any", weights.state, KIND)


def found(directory: Path, builds: Builds) -> bytes:
    """The graph's bytes, as a worker gets them."""
    with locked(directory):
        return whole_graph(directory, builds).read_bytes()


def test_a_graph_is_written_once_and_found_again(directory: Path, builds: Builds) -> None:
    assert found(directory, builds) == found(directory, builds)
    assert builds.count == 1
    assert directory.parent.name == "onnx" and directory.name.startswith("any-float32-")


def test_two_workers_at_once_get_one_graph(directory: Path, builds: Builds) -> None:
    with ThreadPoolExecutor(2) as workers:
        first, second = workers.map(lambda _: found(directory, builds), range(2))
    assert first == second
    assert builds.count == 1


BROKEN: dict[str, Callable[[Path], object]] = {
    "cut off": lambda place: (place / GRAPH).write_bytes((place / GRAPH).read_bytes()[:1000]),
    "gone": lambda place: (place / GRAPH).unlink(),
    "without checksums": lambda place: (place / "checksums.json").unlink(),
    "checksums of another kind": lambda place: (place / "checksums.json").write_text("[1]"),
    "no checksum of it": lambda place: (place / "checksums.json").write_text("{}"),
}


@pytest.mark.parametrize("breaks", BROKEN.values(), ids=BROKEN)
def test_a_broken_graph_is_written_anew(
    directory: Path, builds: Builds, breaks: Callable[[Path], object]
) -> None:
    whole = found(directory, builds)
    breaks(directory)
    assert found(directory, builds) == whole
    assert builds.count == 2


def test_what_a_killed_worker_left_is_swept(directory: Path, builds: Builds) -> None:
    left_over = directory.with_name(f".{directory.name}.killed")
    left_over.mkdir(parents=True)
    found(directory, builds)
    assert not left_over.exists()


def test_other_weights_types_and_versions_have_other_graphs(
    weights: WhisperWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = weights.state
    name = "encoder.ln_post.weight"
    names = {
        graph_directory(tmp_path, "any", state, KIND),
        graph_directory(tmp_path, "any", state, torch.float16),
        graph_directory(tmp_path, "any", state | {name: state[name] + np.float32(1)}, KIND),
    }
    monkeypatch.setattr("torch.__version__", "99")
    names.add(graph_directory(tmp_path, "any", state, KIND))
    assert len(names) == 4


def test_without_onnx_a_graph_is_found_but_none_is_written(
    directory: Path, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = found(directory, builds)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert found(directory, builds) == whole
    with pytest.raises(LibraryMissing, match="`onnx`") as raised:
        found(directory.with_name("another"), builds)
    assert "scriptorium[worker,onnx]" in raised.value.advice


def test_a_directory_that_takes_no_files_is_told(builds: Builds, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelUnavailable, match="cannot be kept"):
        found(tmp_path / "file" / "onnx" / "any", builds)


def test_a_file_system_without_locks_is_told_at_once(
    directory: Path, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a lock that is a file alone, a process that was killed held up all others."""

    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(ModelUnavailable, match="no locks"):
        found(directory, builds)

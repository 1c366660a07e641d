"""A session starts on the first provider that is there and works; of the others it is said why."""

from __future__ import annotations

import logging
from pathlib import Path

import onnxruntime
import pytest
import torch

from benchmarks.engines.shapes import Shape, random_model
from gpu_worker.devices.onnx_session import (
    CPU,
    CUDA,
    TENSORRT,
    Offer,
    cache_name,
    offers,
    profile_of,
    start,
    translating_onnx_errors,
)
from gpu_worker.models.weights.whisper import WhisperWeights
from gpu_worker.transcription.engines.torch_whisper.network import build_encoder
from gpu_worker.transcription.engines.torch_whisper.onnx_graph import whole_graph

pytestmark = pytest.mark.slow  # it imports torch

WINDOW = (80, 3000)


@pytest.fixture(scope="module")
def weights() -> WhisperWeights:
    return random_model(Shape(64, 4, 1, 1, vocabulary=100))[0]


@pytest.fixture(scope="module")
def graph(weights: WhisperWeights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("graph") / "any"
    return whole_graph(place, lambda: build_encoder(weights, torch.float32, "cpu"))


def test_a_gpu_has_tensorrt_before_cuda_and_a_cpu_itself(tmp_path: Path) -> None:
    assert offers("cpu", "float32", tmp_path) == (Offer(CPU),)
    first, second = offers("cuda:1", "float16", tmp_path)
    assert [name for name, _ in first.as_told()] == [TENSORRT, CUDA]
    ((provider, told),) = second.as_told()
    assert (provider, told["device_id"], told["use_tf32"]) == (CUDA, "1", "0")


def test_tensorrt_keeps_what_it_builds_for_one_to_sixteen_windows(tmp_path: Path) -> None:
    (offer, _) = offers("cuda", "float16", tmp_path, profile_of("features", WINDOW))
    told = offer.options
    assert told["trt_engine_cache_enable"] == told["trt_timing_cache_enable"] == "True"
    assert told["trt_engine_cache_path"] == told["trt_timing_cache_path"] == str(tmp_path)
    assert told["trt_profile_min_shapes"] == "features:1x80x3000"
    assert told["trt_profile_max_shapes"] == "features:16x80x3000"


@pytest.mark.parametrize(
    ("kind", "half", "brain"),
    [
        ("float32", "False", "False"),
        ("float16", "True", "False"),
        ("bfloat16", "False", "True"),
    ],
)
def test_tensorrt_computes_in_the_type_of_the_engine(
    tmp_path: Path, kind: str, half: str, brain: str
) -> None:
    (offer, _) = offers("cuda", kind, tmp_path)
    assert (offer.options["trt_fp16_enable"], offer.options["trt_bf16_enable"]) == (half, brain)


def test_what_tensorrt_keeps_serves_one_gpu_and_version() -> None:
    assert cache_name("NVIDIA H200").startswith(
        f"NVIDIA-H200-onnxruntime-{onnxruntime.__version__}"
    )
    assert cache_name("A/B") != cache_name("A/C") and "/" not in cache_name("A/B")


def test_a_provider_that_is_not_there_is_passed_over_and_named(
    graph: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        session = start(graph, (Offer(TENSORRT), Offer(CUDA), Offer(CPU)), 1)
    assert session is not None and session.get_providers() == [CPU]
    assert [record.getMessage() for record in caplog.records] == [
        f"The encoder goes without {name}: onnxruntime has none here." for name in (TENSORRT, CUDA)
    ]


@pytest.fixture
def claims_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime says that it has these providers, and cannot start them."""
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [TENSORRT, CUDA, CPU])


@pytest.mark.usefixtures("claims_gpus")
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_does_not_start_is_passed_over_with_its_reason(
    graph: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    offered = (*offers("cuda", "float32", tmp_path / "kept"), Offer(CPU))
    with caplog.at_level(logging.WARNING):
        session = start(graph, offered, 1)
    assert session is not None and session.get_providers() == [CPU]
    assert [record.getMessage() for record in caplog.records] == [
        f"The encoder goes without {name}: {CPU} came in its place" for name in (TENSORRT, CUDA)
    ]


@pytest.mark.usefixtures("claims_gpus")
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_fails_loses_what_it_kept_on_disk(graph: Path, tmp_path: Path) -> None:
    broken = tmp_path / "kept" / "broken.engine"
    broken.parent.mkdir()
    broken.touch()
    assert start(graph, (Offer(CUDA, cache=broken.parent),), 1) is None
    assert not broken.exists()


def test_a_file_that_is_no_graph_starts_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no graph")
    assert start(tmp_path / "no.onnx", (Offer(CPU),), 1) is None
    assert "without CPUExecutionProvider" in caplog.text


def test_a_provider_that_computes_no_numbers_is_not_taken(
    weights: WhisperWeights, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = build_encoder(weights, torch.float32, "cpu")
    encoder.ln_post.weight.data.fill_(float("nan"))
    assert start(whole_graph(tmp_path / "any", lambda: encoder), (Offer(CPU),), 1) is None
    assert "it computes no numbers" in caplog.text


def test_an_error_of_onnx_runtime_has_a_meaning() -> None:
    def fail() -> None:
        raise onnxruntime.capi.onnxruntime_pybind11_state.Fail("Failed to allocate memory")

    with pytest.raises(MemoryError):
        translating_onnx_errors(fail)

"""Aligners are found by the model's name first, then by their own, and loaded once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gpu_worker import loaded
from gpu_worker.alignment import Aligner, AlignerRequest
from gpu_worker.alignment.fake import FakeAligner
from gpu_worker.errors import InvalidOption, UnknownModel
from gpu_worker.loaded import (
    ALIGNERS,
    LoadedAligners,
    load_aligner,
    register_aligner,
)


@pytest.fixture
def loads() -> Iterator[list[str]]:
    """The models that were loaded, by an aligner of the test's own."""
    names: list[str] = []

    def load(request: AlignerRequest) -> Aligner:
        names.append(request.model)
        return FakeAligner(request.model)

    register_aligner("counted", load)
    yield names
    del loaded._aligners["counted"]


def test_an_aligner_is_loaded_once(loads: list[str]) -> None:
    held = LoadedAligners(1)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(held.get, [AlignerRequest("ctc", "counted", "en")] * 32))
    assert len(found) == 1
    assert loads == ["counted"]


def test_another_language_is_another_aligner(loads: list[str]) -> None:
    held = LoadedAligners(2)
    for language in ("en", "es", "en"):
        held.get(AlignerRequest("ctc", "counted-x", language))
    assert loads == ["counted-x", "counted-x"]


@pytest.mark.parametrize("aligner", [*ALIGNERS, "anything"])
def test_a_fake_model_is_fake_under_every_aligner(aligner: str) -> None:
    assert isinstance(load_aligner(AlignerRequest(aligner, "fake", "en")), FakeAligner)


def test_a_fake_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownModel, match="fake-news"):
        load_aligner(AlignerRequest("ctc", "fake-news", "en"))


def test_an_aligner_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidOption, match="'cross_attention', only ctc, whisperx"):
        load_aligner(AlignerRequest("cross_attention", "pico-align", "en"))


@pytest.mark.slow  # torch is imported
@pytest.mark.parametrize("name", ALIGNERS)
def test_each_aligner_loads_by_its_name(name: str) -> None:
    if name == "whisperx":
        pytest.importorskip("whisperx")
    aligner = load_aligner(AlignerRequest(name, "pico-align", "en", device="cpu"))
    assert (aligner.name, aligner.device) == (name, "cpu")


@pytest.mark.parametrize(
    "module", ["alignment", "alignment.models", "loaded", "alignment.fake", "alignment.chunk"]
)
def test_nothing_heavy_is_loaded_before_an_aligner_is(module: str) -> None:
    code = f"import sys, gpu_worker.{module}; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(ended.stdout.split()) & {"torch", "torchaudio", "transformers", "whisperx"}

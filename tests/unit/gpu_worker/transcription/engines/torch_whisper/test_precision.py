"""The types that a device computes with, and those that it refuses."""

from __future__ import annotations

import pytest
import torch

from gpu_worker.errors import InvalidOption
from gpu_worker.transcription.engines.torch_whisper.precision import (
    Precision,
    has_bfloat16,
    precision,
)

pytestmark = pytest.mark.slow  # it imports torch


def test_the_default_is_the_fastest_that_is_exact_enough() -> None:
    assert precision("default", "cpu", has_bfloat16=False) == Precision(
        torch.float32, torch.float32
    )
    assert precision("default", "cpu", has_bfloat16=True) == Precision(
        torch.bfloat16, torch.float32
    )
    assert precision("auto", "cuda", has_bfloat16=False) == Precision(torch.float16, torch.float16)


def test_a_type_is_taken_for_both_parts() -> None:
    for name in ("float32", "bfloat16"):
        kind = getattr(torch, name)
        assert precision(name, "cpu", has_bfloat16=True) == Precision(kind, kind)
    assert precision("float16", "cuda", has_bfloat16=False).decoder == torch.float16


@pytest.mark.parametrize("name", ["int8", "int8_float16", "float16", "float99"])
def test_whole_numbers_and_what_a_cpu_lacks_are_refused(name: str) -> None:
    with pytest.raises(InvalidOption, match=f"no compute_type '{name}' on cpu, only float32"):
        precision(name, "cpu", has_bfloat16=False)


def test_a_processor_is_asked_whether_it_has_bfloat16() -> None:
    assert has_bfloat16() in (True, False)

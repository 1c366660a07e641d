"""Packed layers compute what linear layers compute, for any number of rows."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gpu_worker.transcription.engines.torch_whisper import packed
from gpu_worker.transcription.engines.torch_whisper.packed import PackedLinear, can_pack, pack

pytestmark = pytest.mark.slow  # it imports torch


def layers() -> nn.Sequential:
    torch.manual_seed(1)
    inner = nn.Sequential(nn.GELU(), nn.Linear(96, 200, bias=False))
    return nn.Sequential(nn.Linear(64, 96), inner).eval().requires_grad_(False)


@pytest.mark.skipif(not can_pack(), reason="this build of PyTorch has no oneDNN")
@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_packed_layers_give_the_same_numbers(kind: torch.dtype, tolerance: float) -> None:
    plain, quick = layers().to(kind), layers().to(kind)
    pack(quick)
    assert isinstance(quick[0], PackedLinear)
    assert not any(isinstance(part, nn.Linear) for part in quick.modules())
    with torch.inference_mode():
        for rows in (1, 6, 300):
            x = torch.randn(2, rows, 64).to(kind)
            torch.testing.assert_close(quick(x), plain(x), atol=tolerance, rtol=tolerance)
            seen = x.transpose(0, 1)[:, :1]  # it is not contiguous
            torch.testing.assert_close(quick(seen), plain(seen), atol=tolerance, rtol=tolerance)


def test_layers_stay_as_they_are_in_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "can_pack", lambda: False)
    plain = layers()
    pack(plain)
    assert isinstance(plain[0], nn.Linear)

"""A bundle's file is fetched before torchaudio builds the model, from a server that answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_worker.alignment.bundles import fetch_bundle
from gpu_worker.errors import ModelUnavailable

pytestmark = pytest.mark.slow  # it imports torch


def test_torchs_server_is_asked_once_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("gpu_worker.models.hub.TORCH_MODELS", "http://127.0.0.1:1")
    with pytest.raises(ModelUnavailable, match="could not be fetched: URLError"):
        fetch_bundle("WAV2VEC2_ASR_BASE_960H", str(tmp_path))
    with pytest.raises(ModelUnavailable, match="torch's server of models gave no answer"):
        fetch_bundle("WAV2VEC2_ASR_LARGE_960H", str(tmp_path))


def test_a_bundle_that_is_here_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("gpu_worker.models.hub.TORCH_MODELS", "http://127.0.0.1:1")
    (tmp_path / "wav2vec2_fairseq_base_ls960_asr_ls960.pth").touch()
    assert fetch_bundle("WAV2VEC2_ASR_BASE_960H", str(tmp_path)) == str(tmp_path)

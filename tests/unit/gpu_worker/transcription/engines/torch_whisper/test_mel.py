"""Features computed on the device are those of faster-whisper, filled up with silence."""

from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from gpu_worker.transcription.engines.features import log_mel
from gpu_worker.transcription.engines.torch_whisper.mel import LogMel
from gpu_worker.transcription.hearing import known_speech

pytestmark = pytest.mark.slow  # it imports torch


@pytest.mark.parametrize("mels", [80, 128])
def test_a_batch_has_the_features_of_faster_whisper(mels: int) -> None:
    speech = known_speech()
    noise = 0.1 * np.random.default_rng(1).standard_normal(480_000).astype(np.float32)
    windows = [speech, np.tile(speech, 15), noise, noise[:161], np.zeros(0, np.float32)]
    found = LogMel(mels, "cpu")(windows)
    assert found.shape == (5, mels, 3000)
    extract = FeatureExtractor(feature_size=mels)
    for features, window in zip(found.numpy(), windows, strict=True):
        np.testing.assert_allclose(features, log_mel(extract, window), atol=1e-4)

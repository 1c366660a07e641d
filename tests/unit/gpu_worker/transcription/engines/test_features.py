"""A short window's features are those of the window with silence behind it."""

from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines.features import FRAMES, log_mel
from tests.inputs.speech import heldout

LONGEST = 30 * SAMPLE_RATE


@pytest.mark.parametrize("gain", [1.0, 1e-6])
@pytest.mark.parametrize("samples", [1, 159, 16_000, 41_237, LONGEST - 200, LONGEST])
@pytest.mark.parametrize("mels", [80, 128])
def test_a_window_is_followed_by_silence(mels: int, samples: int, gain: float) -> None:
    extract = FeatureExtractor(feature_size=mels)
    said = np.resize(heldout("en")[0].samples, samples).astype(np.float32) * np.float32(gain)
    filled = np.pad(said, (0, LONGEST + extract.n_fft - samples))
    features = log_mel(extract, said)
    assert features.shape == (mels, FRAMES)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, extract(filled, padding=0)[:, :FRAMES], atol=1e-4)

"""The embedding model out of the wheel is the whole network, and tells voices apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gpu_worker.diarization.campplus import CamPlusPlus, features
from gpu_worker.diarization.offline import EMBEDDING_FILE
from gpu_worker.diarization.offline_pipeline import load_embedding
from tests.inputs.pyannote_directory import read_sample
from tests.inputs.real_models import offline_models

pytestmark = pytest.mark.slow  # it imports torch and pyannote

RATE = 16_000
# Seconds of the sample in which one of its two people speaks alone (sample.rttm).
FIRST = ((8.4, 9.9), (11.1, 14.4), (28.5, 29.9))  # not 18.6 to 21.4: the other one laughs
SECOND = ((14.8, 17.9), (21.9, 24.9), (24.9, 27.8))


@pytest.fixture(scope="module")
def directory() -> Path:
    return offline_models()


@pytest.fixture(scope="module")
def model(directory: Path) -> CamPlusPlus:
    return load_embedding(directory / EMBEDDING_FILE)


def waveform(start: float, end: float) -> torch.Tensor:
    """A piece of the sample, shape (1, 1, samples)."""
    return torch.from_numpy(read_sample()[int(start * RATE) : int(end * RATE)].copy())[None, None]


@pytest.mark.slow
def test_the_weights_of_the_wheel_are_all_the_parts_of_the_network(model: CamPlusPlus) -> None:
    """Their loading is strict; 937 tensors and 6.8 million numbers are what was published."""
    assert len(model.state_dict()) == 937
    assert sum(weight.numel() for weight in model.parameters()) == 6_848_544
    assert not model.training


@pytest.mark.slow
def test_ten_seconds_are_five_hundred_frames_and_one_vector_a_speaker(model: CamPlusPlus) -> None:
    sound = waveform(8.0, 18.0)
    assert features(sound).shape == (1, 998, 80)
    assert features(sound).mean(dim=1).abs().max() < 1e-4
    with torch.inference_mode():
        frames = model.forward_frames(sound)
        masks = torch.zeros(1, 3, 589)
        masks[0, 0] = masks[0, 1, 100:300] = 1
        vectors = model.forward_embedding(frames, masks)
        assert frames.shape == (1, 512, 499)
        assert vectors.shape == (1, 3, model.dimension)
        assert torch.allclose(vectors[:, 0], model(sound), atol=1e-4)
    assert torch.isfinite(vectors).all()
    assert not torch.allclose(vectors[0, 0], vectors[0, 1], atol=0.1)


@pytest.mark.slow
def test_two_people_on_the_telephone_are_told_apart(model: CamPlusPlus) -> None:
    with torch.inference_mode():
        voices = [
            torch.nn.functional.normalize(torch.cat([model(waveform(*span)) for span in spans]))
            for spans in (FIRST, SECOND)
        ]
    same = np.stack([(voice @ voice.T).numpy()[np.triu_indices(3, 1)] for voice in voices])
    different = (voices[0] @ voices[1].T).numpy()
    assert same.min() > different.max()
    assert same.mean() > different.mean() + 0.25


def test_a_moment_of_sound_has_a_vector_too(model: CamPlusPlus) -> None:
    """25 ms are one frame, which has no spread; pyannote tries how little a model can take."""
    with torch.inference_mode():
        assert torch.isfinite(model(torch.randn(1, 1, 400))).all()
        with pytest.raises(AssertionError):
            model(torch.randn(1, 1, 399))

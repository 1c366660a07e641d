"""The embedding model runs once a window and says what pyannote's own call says."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gpu_worker.diarization.embedding import SpeakerEmbedder, speaker_masks
from gpu_worker.diarization.pyannote_audio import (
    PyannoteAudioPretrainedSpeakerEmbedding,
    XVectorMFCC,
    XVectorSincNet,
)
from tests.inputs.pyannote_directory import read_sample, resnet

pytestmark = pytest.mark.slow  # it imports torch and pyannote

SAMPLES, FRAMES = 48_000, 175
WINDOWS = read_sample()[8 * 16_000 :][: 4 * SAMPLES].reshape(4, SAMPLES)
TOLERANCE = 1e-4  # of the largest number; rounding alone, in another order of sums


def masks_of_all_kinds() -> NDArray[np.float32]:
    """Three speakers, two of them, one for a moment, no speaker."""
    masks = np.zeros((4, FRAMES, 3), dtype=np.float32)
    masks[0, 10:90, 0] = masks[0, 80:150, 1] = masks[0, 20:170, 2] = 1
    masks[1, :60, 1] = masks[1, 60:, 2] = 1
    masks[2, 100, 0] = 1
    return masks


@pytest.fixture(scope="module", params=["resnet", "mfcc", "sincnet"])
def embedding(request: pytest.FixtureRequest) -> Any:
    """One of pyannote's three kinds, with random weights."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = {
            "resnet": lambda: resnet(mel_bins=16),
            "mfcc": lambda: XVectorMFCC(mfcc={"melkwargs": {"n_fft": 512, "n_mels": 40}}),
            "sincnet": XVectorSincNet,
        }[request.param]()
    return PyannoteAudioPretrainedSpeakerEmbedding(model)


def own_call(embedding: Any, masks: NDArray[np.float32]) -> NDArray[np.float32]:
    """What pyannote computes: the whole model for each local speaker."""
    rows = [
        embedding(torch.from_numpy(window)[None, None], masks=torch.from_numpy(mask)[None])[0]
        for window, of_window in zip(WINDOWS, masks, strict=True)
        for mask in of_window.T.copy()
    ]
    return np.stack(rows).reshape(*masks.shape[::2], -1)


@pytest.mark.slow
def test_the_vectors_are_those_of_pyannotes_own_call(embedding: Any) -> None:
    masks = masks_of_all_kinds()
    expected = own_call(embedding, masks)
    found = SpeakerEmbedder(embedding).embed(torch.from_numpy(WINDOWS), masks)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()
    assert np.array_equal(found[3], expected[3])  # of no speaker, to the bit
    assert np.isfinite(found).all() and np.abs(found).sum(axis=2).all()


def test_the_trunk_runs_once_for_each_window_in_which_somebody_speaks(embedding: Any) -> None:
    model = embedding.model_
    layer = model.resnet.conv1 if hasattr(model, "resnet") else model.tdnns[0]
    batches: list[int] = []
    hook = layer.register_forward_hook(lambda _, given, __: batches.append(len(given[0])))
    embedder = SpeakerEmbedder(embedding)
    embedder.silent(SAMPLES, FRAMES)
    batches.clear()
    embedder.embed(torch.from_numpy(WINDOWS), masks_of_all_kinds())
    embedder.embed(torch.from_numpy(WINDOWS), np.zeros((4, FRAMES, 3), dtype=np.float32))
    hook.remove()
    assert batches == [3]


class Stranger:
    """An embedding of another library: the loudness of what the mask leaves over."""

    min_num_samples = 1600

    def __call__(self, waveforms: torch.Tensor, masks: torch.Tensor) -> NDArray[np.float64]:
        loudness = waveforms.abs().mean(dim=(1, 2)).numpy().astype(np.float64)
        return np.stack([loudness, masks.mean(dim=1).numpy()], axis=1)


def test_a_model_that_is_not_known_is_called_as_pyannote_calls_it() -> None:
    masks = masks_of_all_kinds()
    embedder = SpeakerEmbedder(Stranger())
    found = embedder.embed(torch.from_numpy(WINDOWS), masks)
    assert np.allclose(found[:, :, 1], masks.mean(axis=1))
    assert np.allclose(found[:, 2, 0], np.abs(WINDOWS).mean(axis=1))
    assert np.array_equal(embedder.silent(SAMPLES, FRAMES), [0, 0])
    assert embedder.least_frames(FRAMES, SAMPLES) == 6


def test_a_speaker_is_embedded_from_the_frames_that_are_only_theirs() -> None:
    active = np.zeros((1, 10, 2), dtype=np.bool_)
    active[0, :6, 0] = active[0, 4:, 1] = True
    masks = speaker_masks(active, exclude_overlap=True, least_frames=3)
    assert masks[0].T.tolist() == [[1, 1, 1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]]


def test_a_speaker_who_is_hardly_ever_alone_is_embedded_from_all_frames() -> None:
    active = np.ones((1, 10, 2), dtype=np.bool_)
    active[0, :4, 1] = False
    masks = speaker_masks(active, exclude_overlap=True, least_frames=4)
    assert masks[0].sum(axis=0).tolist() == [10, 6]
    assert speaker_masks(active, exclude_overlap=True, least_frames=3)[0, :, 0].sum() == 4
    assert speaker_masks(active, exclude_overlap=False, least_frames=3)[0, :, 0].sum() == 10

"""`offline`: real models out of a wheel tell the two people of pyannote's sample apart."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from benchmarks.speakers.recordings import read_sample
from gpu_worker.accuracy.speaker_scores import diarization_error
from gpu_worker.diarization import DiarizerRequest, SpeakerBounds
from gpu_worker.diarization.offline import SEGMENTATION_FILE, fetch_offline, unpacked_offline
from gpu_worker.diarization.offline_pipeline import SLOTS, load_segmentation
from gpu_worker.diarization.pipeline import PyannoteDiarizer
from gpu_worker.diarization.pretrained import load
from gpu_worker.models.wheels import FOLDER
from tests.inputs.real_models import offline_models
from tests.unit.gpu_worker.diarization.shards import embed_in_shards

pytestmark = pytest.mark.slow  # it runs real models


@pytest.fixture(scope="module")
def directory() -> Path:
    return offline_models()


@pytest.fixture(scope="module")
def diarizer(directory: Path) -> PyannoteDiarizer:
    return load(DiarizerRequest("offline", device="cpu"))


def test_two_people_on_the_telephone_are_told_apart_and_shards_change_nothing(
    diarizer: PyannoteDiarizer,
) -> None:
    sample = read_sample()
    shards = embed_in_shards(diarizer, sample.samples, shard_seconds=8.0)
    found = diarizer.cluster(shards[::-1], len(sample.samples), SpeakerBounds())
    error = diarization_error(sample.turns, found.turns, sample.seconds)
    assert error.rate <= 0.10
    assert [speaker.label for speaker in found.speakers] == ["SPEAKER_00", "SPEAKER_01"]
    windows = range(diarizer.grid.window_count(len(sample.samples)))
    whole = diarizer.embed(sample.samples, windows)
    assert diarizer.cluster([whole], len(sample.samples), SpeakerBounds()).turns == found.turns


def test_each_third_of_a_window_has_speakers_of_its_own(directory: Path) -> None:
    model = load_segmentation(directory / SEGMENTATION_FILE)
    sound = torch.from_numpy(read_sample().samples[8 * 16_000 : 18 * 16_000].copy())[None, None]
    with torch.inference_mode():
        scores = model(sound)[0]
    assert scores.shape == (589, 3 * SLOTS)
    assert scores.min() >= 0 and scores.max() <= 1 + 1e-5
    heard = (scores > 0.5).reshape(589, SLOTS, 3).any(dim=2)
    for slot in range(SLOTS):
        frames = torch.nonzero(heard[:, slot])
        assert 589 * slot // SLOTS <= frames.min() and frames.max() <= 589 * (slot + 1) // SLOTS


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (ran,)

    torch.save({"state_dict": Payload()}, tmp_path / "model.bin")
    with pytest.raises(pickle.UnpicklingError, match="Weights only"):
        load_segmentation(tmp_path / "model.bin")
    assert not ran.exists()


def test_what_was_fetched_is_found_without_a_network(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert unpacked_offline(None) == directory == fetch_offline(None)
    assert unpacked_offline(str(tmp_path)) is None
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / directory.name).symlink_to(directory)
    assert unpacked_offline(str(tmp_path)) == tmp_path / FOLDER / directory.name

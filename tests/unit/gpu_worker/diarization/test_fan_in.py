"""Working in blocks changes nothing, and only very long files are thinned out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpu_worker.builtin import PICO_VOICE
from gpu_worker.diarization import SpeakerBounds, clustering, fan_in
from gpu_worker.diarization.clustering import bounded, take_over
from gpu_worker.diarization.fan_in import FanIn, StitchedVoices
from gpu_worker.diarization.pretrained import load_pico_voice
from gpu_worker.diarization.pyannote_audio import (
    AgglomerativeClustering,
    BaseClustering,
    Pipeline,
    SlidingWindow,
    SlidingWindowFeature,
    SpeakerDiarization,
)
from tests.inputs.pyannote_directory import write_pipeline

pytestmark = pytest.mark.slow  # it imports torch and pyannote

WINDOWS, SPEAKERS = 150, 4
RNG = np.random.default_rng(1)


class Plain(SpeakerDiarization):
    """pyannote's pipeline after the models: none of its steps is replaced."""

    def get_segmentations(self, file: Any, hook: Any = None) -> SlidingWindowFeature:
        grid = self._segmentation
        window = SlidingWindow(start=0.0, duration=grid.duration, step=grid.step)
        return SlidingWindowFeature(file["voices"].segmentations.astype(np.float32), window)

    def get_embeddings(self, file: Any, *_: Any, **__: Any) -> NDArray[np.float32]:
        embeddings: NDArray[np.float32] = file["voices"].embeddings
        return embeddings

    def diarize(self, voices: StitchedVoices, bounds: SpeakerBounds) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.apply(
                {"uri": "audio", "voices": voices},
                num_speakers=bounds.num_speakers,
                min_speakers=bounds.min_speakers,
                max_speakers=bounds.max_speakers,
            )


def conversation(frames: int, seconds: float) -> StitchedVoices:
    """Four people, whose order changes from window to window, sometimes no speaker."""
    slots = np.repeat(RNG.random((2 * WINDOWS, SPEAKERS)) > 0.6, 5, axis=0)  # ten a second
    slots[200:320] = False
    centroids = RNG.normal(size=(SPEAKERS, 32)).astype(np.float32)
    scores = np.zeros((WINDOWS, frames, 3), dtype=np.float32)
    vectors = np.full((WINDOWS, 3, 32), 0.1, dtype=np.float32)
    for window in range(WINDOWS):
        at = np.minimum(window * 10 + np.arange(frames) * seconds * 10 / frames, len(slots) - 1)
        people = RNG.permutation(SPEAKERS)[:3]
        noise = RNG.normal(scale=0.15, size=(frames, 3))
        scores[window] = np.clip(slots[at.astype(int)][:, people] * 0.8 + noise, 0, 1)
        vectors[window] = centroids[people] + RNG.normal(scale=0.4, size=(3, 32))
    return StitchedVoices(scores, vectors)


@pytest.fixture(scope="module", params=["pico", "vbx"])
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SpeakerDiarization, StitchedVoices]:
    """A loaded pipeline, and windows as its models would give them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if request.param == "pico":
            return load_pico_voice(PICO_VOICE), conversation(293, 5.0)
        directory = write_pipeline(tmp_path_factory.mktemp("pipeline"), mel_bins=16)
        pipeline: Any = Pipeline.from_pretrained(directory)
    heard = conversation(589, 10.0)
    vectors = np.tile(heard.embeddings, (1, 1, 8))  # of 256 numbers
    return pipeline, StitchedVoices(heard.segmentations > 0.5, vectors)


BOUNDS = [
    SpeakerBounds(),
    SpeakerBounds(num_speakers=2),
    SpeakerBounds(num_speakers=1),
    SpeakerBounds(max_speakers=1),
    SpeakerBounds(min_speakers=6),
]


@pytest.mark.slow
@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_blocks_give_pyannotes_turns_and_centroids_to_the_bit(
    case: tuple[SpeakerDiarization, StitchedVoices],
    bounds: SpeakerBounds,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fan_in, "_BLOCK_WINDOWS", 7)
    monkeypatch.setattr(fan_in, "_BLOCK_FRAMES", 1000)
    pipeline, voices = case
    expected = take_over(Plain, pipeline).diarize(voices, bounds)
    found = FanIn.of(pipeline).diarize(voices, bounds)
    assert list(found.speaker_diarization.itertracks(yield_label=True)) == list(
        expected.speaker_diarization.itertracks(yield_label=True)
    )
    assert found.exclusive_speaker_diarization == expected.exclusive_speaker_diarization
    assert np.array_equal(found.speaker_embeddings, expected.speaker_embeddings, equal_nan=True)
    assert len(expected.speaker_diarization) > 10


def test_the_loaded_pipeline_stays_as_it_is(
    case: tuple[SpeakerDiarization, StitchedVoices],
) -> None:
    pipeline, _ = case
    kind = type(pipeline.clustering)
    taken = FanIn.of(pipeline)
    assert type(pipeline.clustering) is kind is not type(taken.clustering)
    assert taken.clustering.parameters(instantiated=True) == pipeline.clustering.parameters(
        instantiated=True
    )


def test_too_many_embeddings_are_thinned_out_evenly_and_the_others_assigned(
    case: tuple[SpeakerDiarization, StitchedVoices], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, voices = case
    whole = FanIn.of(pipeline).diarize(voices, SpeakerBounds(num_speakers=4))
    monkeypatch.setattr(clustering, "MOST_EMBEDDINGS", 60)
    thinned = FanIn.of(pipeline).diarize(voices, SpeakerBounds(num_speakers=4))
    assert thinned.speaker_diarization.get_timeline() == whole.speaker_diarization.get_timeline()
    assert len(thinned.speaker_diarization.labels()) == 4


def test_the_embeddings_that_are_kept_span_the_whole_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clustering, "MOST_EMBEDDINGS", 5)
    active = SlidingWindowFeature(np.zeros((9, 10, 3)), SlidingWindow(1.0, 1.0))
    active.data[:, :, 0] = 1
    vectors = RNG.normal(size=(9, 3, 4)).astype(np.float32)
    found, windows, speakers = bounded(AgglomerativeClustering()).filter_embeddings(vectors, active)
    assert windows.tolist() == [0, 2, 4, 6, 8]
    assert speakers.tolist() == [0] * 5
    assert np.array_equal(found, vectors[windows, 0])


def test_a_clustering_that_is_not_known_stays_what_it_is() -> None:
    class Own(BaseClustering):
        pass

    own = Own()
    assert bounded(own) is own

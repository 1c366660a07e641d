"""Shards give, to the turn, what pyannote's pipeline gives in one piece."""

from __future__ import annotations

import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gpu_worker.audio.samples import Audio
from gpu_worker.builtin import PICO_VOICE
from gpu_worker.diarization import Diarization, Diarizer, DiarizerRequest, SpeakerBounds
from gpu_worker.diarization.pipeline import PyannoteDiarizer
from gpu_worker.diarization.pretrained import load_pico_voice
from gpu_worker.diarization.pyannote_audio import Pipeline
from gpu_worker.errors import InvalidOption, OutOfMemory
from gpu_worker.loaded import load_diarizer
from gpu_worker.transcript import Turn
from tests.inputs.pyannote_directory import read_sample, write_pipeline
from tests.unit.gpu_worker.diarization.shards import embed_in_shards

pytestmark = pytest.mark.slow  # it runs pyannote's pipeline

TALK = read_sample()[: round(27.3 * 16_000)]  # the last window is padded
SHORT_TALK = read_sample()[round(6.5 * 16_000) : round(15.8 * 16_000)]


def in_one_piece(pipeline: Any, audio: Audio, **bounds: int) -> Diarization:
    """What pyannote's own pipeline says; the speakers' vectors are not compared."""
    file = {"waveform": torch.from_numpy(audio.copy())[None], "sample_rate": 16_000}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        output = pipeline(file, **bounds)
    turns, exclusive = (
        tuple(
            Turn(round(s.start, 3), round(s.end, 3), label)
            for s, _, label in annotation.itertracks(yield_label=True)
        )
        for annotation in (output.speaker_diarization, output.exclusive_speaker_diarization)
    )
    return Diarization(turns, exclusive)


def in_shards(
    diarizer: Diarizer, audio: Audio, seconds: float, bounds: SpeakerBounds | None = None
) -> Diarization:
    shards = embed_in_shards(diarizer, audio, seconds)
    return diarizer.cluster(reversed(shards), len(audio), bounds or SpeakerBounds())


def same_turns(one: Diarization, other: Diarization) -> bool:
    return one.turns == other.turns and one.exclusive == other.exclusive


@pytest.fixture(scope="module")
def pico() -> Diarizer:
    """The built-in one, on one thread: two that wait for each other on a busy machine take long."""
    return load_diarizer(DiarizerRequest("pico-voice", device="cpu", threads=1))


@pytest.fixture(scope="module")
def pico_alone(pico: Diarizer) -> Diarization:
    """What the unmodified pipeline says of the same models."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return in_one_piece(load_pico_voice(PICO_VOICE), TALK)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline as on the hub, with VBx, that finds many speakers."""
    return write_pipeline(
        tmp_path_factory.mktemp("pipeline"),
        mel_bins=16,
        seconds=5.0,
        step=0.2,
        parameters={"threshold": 0.6, "Fa": 0.5, "Fb": 0.1},
    )


@pytest.fixture(scope="module")
def vbx(directory: Path) -> Diarizer:
    return load_diarizer(DiarizerRequest(str(directory), device="cpu", threads=1))


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_shards_of_the_built_in_pipeline_give_pyannotes_turns(
    pico: Diarizer, pico_alone: Diarization, shards: int
) -> None:
    assert same_turns(in_shards(pico, TALK, len(TALK) / 16_000 / shards), pico_alone)
    assert pico_alone.turns and pico_alone.exclusive


def test_shards_of_a_pipeline_from_a_directory_give_pyannotes_turns(
    vbx: Diarizer, directory: Path
) -> None:
    expected = in_one_piece(Pipeline.from_pretrained(directory), SHORT_TALK)
    assert len({turn.speaker for turn in expected.turns}) > 2
    for seconds in (256, 2.5):
        assert same_turns(in_shards(vbx, SHORT_TALK, seconds), expected)


@pytest.mark.parametrize("name", ["pico", "vbx"])
def test_the_bounds_are_honoured(name: str, request: pytest.FixtureRequest) -> None:
    diarizer = request.getfixturevalue(name)
    shards = embed_in_shards(diarizer, SHORT_TALK, 5)
    for bounds, speakers in (
        (SpeakerBounds(num_speakers=1), {1}),
        (SpeakerBounds(num_speakers=3), {3}),
        (SpeakerBounds(max_speakers=2), {1, 2}),
        (SpeakerBounds(min_speakers=3, max_speakers=4), {3, 4}),
    ):
        found = diarizer.cluster(shards, len(SHORT_TALK), bounds)
        assert len(found.speakers) in speakers
        assert {turn.speaker for turn in found.turns} == {s.label for s in found.speakers}


@pytest.mark.parametrize("name", ["pico", "vbx"])
@pytest.mark.parametrize("seconds", [0.0, 0.002, 0.5, 7.3])
def test_nobody_speaks_in_silence(
    name: str, seconds: float, request: pytest.FixtureRequest
) -> None:
    audio = np.zeros(round(seconds * 16_000), dtype=np.float32)
    diarizer = request.getfixturevalue(name)
    assert in_shards(diarizer, audio, 3) == Diarization()
    assert diarizer.voice(audio) is None


def test_a_file_shorter_than_a_window_gives_pyannotes_turns(pico: Diarizer) -> None:
    audio = SHORT_TALK[16_000:48_000]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = in_one_piece(load_pico_voice(PICO_VOICE), audio)
    assert same_turns(in_shards(pico, audio, 256), expected)
    assert expected.turns


def test_a_lost_shard_costs_its_own_span(pico: Diarizer, pico_alone: Diarization) -> None:
    shards = embed_in_shards(pico, TALK, 7)
    found = pico.cluster([shards[0], shards[1], shards[3]], len(TALK), SpeakerBounds())
    assert found.turns
    assert not any(turn.start > 18.6 and turn.end < 20.9 for turn in found.turns)
    assert not same_turns(found, pico_alone)
    assert pico.cluster([], len(TALK), SpeakerBounds()) == Diarization()


def test_speakers_have_vectors_and_go_through_json(vbx: Diarizer) -> None:
    found = in_shards(vbx, SHORT_TALK, 256)
    assert {len(speaker.vector) for speaker in found.speakers} <= {0, 256}
    assert any(speaker.vector for speaker in found.speakers)
    assert Diarization.from_json(found.to_json()) == found


def test_a_clip_has_the_voice_of_whoever_speaks_in_it(pico: Diarizer) -> None:
    voice = pico.voice(SHORT_TALK[2 * 16_000 : 5 * 16_000])
    assert voice is not None and voice.dtype == np.float32 and voice.shape == (128,)
    again = pico.voice(np.tile(SHORT_TALK[2 * 16_000 : 5 * 16_000], 3))
    assert again is not None
    alike = float(voice @ again / np.linalg.norm(voice) / np.linalg.norm(again))
    assert alike > 0.95


def test_a_shard_can_be_stopped_before_each_batch(vbx: Diarizer) -> None:
    calls: list[int] = []
    windows = range(vbx.grid.window_count(len(SHORT_TALK)))
    vbx.embed(SHORT_TALK, windows, lambda: calls.append(1))
    # Four are heard at once, the padded window by itself; two are embedded at once on a CPU.
    assert len(calls) == 2 + 1 + -(-len(windows) // 2)

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        vbx.embed(SHORT_TALK, windows, stop)


@pytest.mark.parametrize("at_once", [None, 64])
def test_shards_that_share_batches_give_the_same_turns(
    pico: Diarizer, pico_alone: Diarization, at_once: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if at_once:  # as on a GPU
        monkeypatch.setattr(pico, "_heard_at_once", at_once)
        monkeypatch.setattr(pico, "_embedded_at_once", at_once)
        monkeypatch.setattr(pico, "_hears_padded_apart", False)
    alone = in_shards(pico, SHORT_TALK, 256)
    with ThreadPoolExecutor(4) as pool:
        together = list(
            pool.map(in_shards, [pico] * 4, [TALK, SHORT_TALK] * 2, [7.0, 256.0, 256.0, 2.5])
        )
    assert all(same_turns(found, pico_alone) for found in together[::2])
    assert all(same_turns(found, alone) for found in together[1::2])


def test_short_files_are_heard_in_one_batch_on_a_gpu(
    pico: Diarizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has one window, padded; with the turns of each heard alone."""
    assert isinstance(pico, PyannoteDiarizer)
    files = [SHORT_TALK[first * 16_000 : (first + 3) * 16_000] for first in range(4)]
    expected = [in_shards(pico, file, 256) for file in files]
    monkeypatch.setattr(pico, "_heard_at_once", 64)
    monkeypatch.setattr(pico, "_hears_padded_apart", False)
    infer, sizes = pico._segmentation.infer, []

    def counted(batch: torch.Tensor) -> Any:
        sizes.append(len(batch))
        return infer(batch)

    monkeypatch.setattr(pico._segmentation, "infer", counted)
    with ThreadPoolExecutor(4) as pool:
        with pico._heard._device:  # so that the batch begins when all are there
            waiting = [pool.submit(in_shards, pico, file, 256) for file in files]
            while len(pico._heard._requests) < len(files):
                time.sleep(0.01)
        found = [one.result() for one in waiting]
    assert sizes == [4]
    assert all(same_turns(one, other) for one, other in zip(found, expected, strict=True))
    assert any(one.turns for one in found)


def test_a_batch_that_does_not_fit_is_made_smaller(
    pico: Diarizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = in_shards(pico, SHORT_TALK, 256)
    assert isinstance(pico, PyannoteDiarizer)
    inference = pico._segmentation
    infer, sizes = inference.infer, []

    def small(batch: torch.Tensor, most: int = 3) -> Any:
        sizes.append(len(batch))
        if len(batch) > most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return infer(batch)

    monkeypatch.setattr(inference, "infer", small)
    assert same_turns(in_shards(pico, SHORT_TALK, 256), expected)
    assert sizes[0] > 3 and max(sizes[-2:]) <= 3
    monkeypatch.setattr(inference, "infer", lambda batch: small(batch, most=0))
    with pytest.raises(OutOfMemory):
        in_shards(pico, SHORT_TALK, 256)


def test_a_clustering_that_must_know_the_number_says_so(tmp_path: Path) -> None:
    directory = write_pipeline(
        tmp_path, mel_bins=16, seconds=5.0, step=0.5, clustering="KMeansClustering", parameters={}
    )
    diarizer = load_diarizer(DiarizerRequest(str(directory), device="cpu", threads=1))
    shards = embed_in_shards(diarizer, SHORT_TALK, 256)
    with pytest.raises(InvalidOption, match="how many people speak"):
        diarizer.cluster(shards, len(SHORT_TALK), SpeakerBounds())
    found = diarizer.cluster(shards, len(SHORT_TALK), SpeakerBounds(num_speakers=2))
    assert len(found.speakers) == 2

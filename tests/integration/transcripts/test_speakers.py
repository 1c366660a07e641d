"""Diarization spread over workers tells what pyannote's pipeline tells in one process."""

from __future__ import annotations

import json
import random
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu_worker.builtin import PICO_VOICE
from orchestrator.cluster.job import Job
from orchestrator.jobs.sources import upload
from tasks.runs import keys
from tests import DATA
from tests.inputs.speech import heldout, recording, write_wav
from tests.integration.cluster import TENANT, ClusterUnderTest
from tests.integration.conftest import StartCluster

FOUR = ("espeak:en-us+f2", "espeak:en-us+m3", "flite:slt", "flite:rms")


PLAYS = ((1, False), (2, False), (4, False), (2, True))  # workers, and whether one is killed


def pyannotes_sample(_: Path) -> Path:
    """The conversation in pyannote.audio's own package."""
    found = find_spec("pyannote.audio")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "sample" / "sample.wav"


def short_conversation(_: Path) -> Path:
    return DATA / "conversation.ogg"


def long_conversation(directory: Path) -> Path:
    """Half an hour of four voices in turn."""
    samples, _ = recording(1800, seed=4, voices=FOUR)
    return write_wav(directory / "long.wav", samples)


@pytest.mark.parametrize(
    ("make", "shard_seconds", "plays"),
    [
        pytest.param(pyannotes_sample, 8.0, PLAYS[3:], id="sample, one killed"),
        pytest.param(pyannotes_sample, 8.0, PLAYS, marks=pytest.mark.heavy, id="sample"),
        pytest.param(short_conversation, 32.0, PLAYS, marks=pytest.mark.heavy, id="short"),
        pytest.param(long_conversation, 128.0, PLAYS, marks=pytest.mark.heavy, id="long"),
    ],
)
@pytest.mark.timeout(1800)  # pyannote's own pipeline alone takes minutes for the long one
def test_turns_equal_those_of_one_process_with_1_2_and_4_workers_and_after_a_kill(
    start_cluster: StartCluster, tmp_path: Path, make: Any, shard_seconds: float, plays: Any
) -> None:
    path = make(tmp_path)
    expected: list[Any] | None = None
    for workers, kills in plays:
        name = f"{workers}-{kills}"
        with start_cluster(workers=workers, name=name) as cluster:
            job = diarized(cluster, path, shard_seconds)
            if kills:
                kill_while_embedding(cluster, job)
            ended = cluster.wait(job)
            assert ended.status == "completed" and ended.warnings == ()
            expected = expected or pyannotes_turns(cluster, job)
            found = cluster.result(job)["transcript"]["turns"]
            print(f"{path.name}, {workers} workers{', one killed' * kills}: {len(found)} turns")
            assert found == expected
            assert len({turn["speaker"] for turn in found}) >= 2


@pytest.mark.heavy
def test_known_voices_are_called_by_their_names(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    """Two of the conversation's four, each by sentences that are not in it."""
    cluster = start_cluster(workers=1)
    names = {"espeak:en-us+f2": "Anna", "flite:rms": "Peter"}
    known = []
    for voice, name in names.items():
        said = [utterance.samples for utterance in heldout() if utterance.voice == voice]
        clip = write_wav(tmp_path / f"{name}.wav", np.concatenate(said[:4]))
        stored = upload(cluster.connection, clip, TENANT).artifact or ""
        known.append({"name": name, "clip": stored.rpartition("/")[2]})
    job = cluster.submit(
        DATA / "conversation.ogg", model="fake", language="en", diarize_model="pico-voice",
        known_speakers=known,
    )  # fmt: skip
    assert cluster.wait(job).warnings == ()
    found = cluster.result(job)["transcript"]["turns"]
    assert {turn["speaker"] for turn in found} == {"Anna", "Peter", "SPEAKER_00", "SPEAKER_01"}
    right = total = 0
    for turn in json.loads((DATA / "conversation.json").read_text())["turns"]:
        middle = (turn["start"] + turn["end"]) / 2
        heard = [each["speaker"] for each in found if each["start"] <= middle <= each["end"]]
        if turn["speaker"] in names:
            total += 1
            right += names[turn["speaker"]] in heard
        else:
            assert not set(heard) & {"Anna", "Peter"}
    print(f"{right} of {total} turns of known voices have their names")
    assert right == total > 5


def diarized(cluster: ClusterUnderTest, path: Path, shard_seconds: float) -> Job:
    return cluster.submit(
        path,
        model="fake",
        language="en",
        diarize_model="pico-voice",
        shard_seconds=shard_seconds,
    )


def kill_while_embedding(cluster: ClusterUnderTest, job: Job) -> None:
    """kill -9 of a worker of models while it works on a shard."""

    def begun() -> bool:
        return any(
            line["stage"] == "embed_speakers" for line in cluster.events("unit_started", job)
        )

    cluster.wait_until(begun)
    time.sleep(0.2)
    cluster.kill_gpu_worker(random.Random(0))


def pyannotes_turns(cluster: ClusterUnderTest, job: Job) -> list[dict[str, Any]]:
    """By pyannote's own pipeline, as it is, over the whole file at once."""
    import torch

    from gpu_worker.diarization.pretrained import load_pico_voice

    plan = cluster.connection.records.plan(TENANT, job.id)
    pcm = cluster.connection.store.get(keys.pcm(TENANT, plan.audio))
    audio = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
    file = {"waveform": torch.from_numpy(audio)[None], "sample_rate": 16_000, "uri": "file"}
    found: Any = load_pico_voice(PICO_VOICE)(file)
    return [
        {"start": round(turn.start, 3), "end": round(turn.end, 3), "speaker": speaker}
        for turn, _, speaker in found.speaker_diarization.itertracks(yield_label=True)
    ]

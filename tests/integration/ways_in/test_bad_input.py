"""All that is submitted gets a code and a sentence, or a transcript, and harms no other job."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from tests.inputs.bad_audio import CASES
from tests.inputs.speech import recording, write_wav
from tests.integration.conftest import StartCluster


def write_silence(path: Path, hours: float) -> Path:
    """Digital silence as FLAC: ten hours are 7 MB."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("flac", rate=16_000, layout="mono")
        second = np.zeros((1, 16_000), "<i2")
        for index in range(int(hours * 3600)):
            frame = av.AudioFrame.from_ndarray(second, format="s16", layout="mono")
            frame.sample_rate = 16_000
            frame.pts = index * 16_000
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def test_every_bad_file_ends_with_its_code_and_a_good_one_beside_them_completes(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=1)
    good = cluster.submit(
        write_wav(tmp_path / "good.wav", recording(20, seed=90)[0]), model="fake", language="en"
    )
    jobs = {}
    for number, case in enumerate(CASES):
        directory = tmp_path / str(number)
        directory.mkdir()
        jobs[case.label] = cluster.submit(case.write(directory), model="fake", language="en")
    for case in CASES:
        ended = cluster.wait(jobs[case.label])
        if case.code is None:
            assert ended.status == "completed", case.label
            codes = {warning["code"] for warning in ended.warnings}
            assert codes >= set(case.warnings), case.label
        else:
            assert ended.status == "failed", case.label
            assert ended.error is not None
            assert ended.error["code"] == case.code, case.label
            assert ended.error["message"].endswith((".", "?")), case.label
            assert "Traceback" not in str(ended.error), case.label
            assert ended.error["hint"], case.label
    assert cluster.wait(good).status == "completed"
    assert list(cluster.connection.store.list("open/")) == []
    print(f"\n{len(CASES)} bad or odd files, each with its code or its transcript")


@pytest.mark.parametrize("hours", [0.5, pytest.param(10, marks=pytest.mark.heavy)])
def test_hours_of_silence_complete_with_empty_text_and_a_warning(
    start_cluster: StartCluster, tmp_path: Path, hours: float
) -> None:
    cluster = start_cluster(workers=2)
    job = cluster.wait(cluster.submit(write_silence(tmp_path / "silence.flac", hours)))
    assert job.status == "completed"
    assert [warning["code"] for warning in job.warnings] == ["no_speech"]
    transcript = cluster.result(job)["transcript"]
    assert transcript["text"] == ""
    assert transcript["duration"] == hours * 3600


def test_a_model_that_is_not_there_fails_the_job_with_its_name(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    empty = tmp_path / "not-a-model"
    cluster = start_cluster(workers=1, allowed_models=str(empty))
    path = write_wav(tmp_path / "good.wav", recording(20, seed=90)[0])
    empty.mkdir()
    (empty / "model.bin").write_bytes(b"nothing")
    job = cluster.wait(cluster.submit(path, model=str(empty), language="en"))
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "model_unusable"
    assert str(empty) in job.error["message"]

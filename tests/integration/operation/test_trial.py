"""A trial on a whole cluster: a share of the jobs is decoded otherwise, and both sides reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli.commands import app
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT
from tests.integration.conftest import StartCluster

RECORDINGS, TIMES = 4, 5


def test_half_of_the_jobs_are_of_the_variant_and_the_report_compares_them(
    start_cluster: StartCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for seed in range(RECORDINGS):
        samples, said = recording(6, seed=seed)
        files.append(write_wav(tmp_path / f"{seed}.wav", samples))
        (tmp_path / f"{seed}.txt").write_text(" ".join(each.text for each in said))
    cluster = start_cluster(trial={"share": 0.5, "compute_type": "int8"}, loaded_models=2)
    jobs = [cluster.submit(file, language="en") for file in files * TIMES]
    assert {job.status for job in cluster.follow(*jobs) if job.status.final} == {"completed"}
    records = cluster.connection.records
    manifests = [records.manifest(TENANT, job.id) for job in jobs]
    assert {(it.trial, it.options.compute_type) for it in manifests} == {
        ("control", "default"),
        ("variant", "int8"),
    }

    settings = cluster.connection.settings
    assert settings.redis_url is not None and settings.store_url is not None
    monkeypatch.setenv("REDIS_URL", settings.redis_url.get_secret_value())
    monkeypatch.setenv("SCRIPTORIUM_STORE_URL", settings.store_url)
    ended = CliRunner().invoke(
        app, ["bench", "trial", "--reference", str(tmp_path), "--json"], catch_exceptions=False
    )
    assert ended.exit_code == 0, ended.output
    report = json.loads(ended.stdout)
    control, variant = (report["sides"][side] for side in ("control", "variant"))
    assert control["jobs"] + variant["jobs"] == RECORDINGS * TIMES
    assert control["jobs"] == sum(it.trial == "control" for it in manifests)
    assert (control["variants"], variant["variants"]) == (["pico default"], ["pico int8"])
    for side in (control, variant):
        assert side["real_time_factor"] > 0 and 60 < side["words_a_minute"] < 300
        assert -1 < side["avg_logprob"] < 0 < side["word_probability"] <= 1
        assert side["error"]["wer"] < 0.2
    assert 1 <= report["same_audio"] <= RECORDINGS
    assert report["disagreement"]["wer"] < 0.2
    shown = CliRunner().invoke(app, ["bench", "trial"], catch_exceptions=False).stdout
    assert "pico int8" in shown and "were transcribed by both sides" in shown

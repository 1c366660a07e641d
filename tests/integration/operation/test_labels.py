"""What a job's label was given for: the sums of usage, from a record that a worker wrote."""

from __future__ import annotations

from pathlib import Path

from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.usage.report import make_report
from tasks.runs.submitted_options import job_options
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT
from tests.integration.conftest import StartCluster

DAYS = ("2000-01-01", "2999-12-31")


def test_a_run_that_a_worker_ends_is_summed_by_the_label_of_its_job(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=1)
    to, options = cluster.connection, job_options({"model": "pico", "aligner": "none"})
    file = upload(to, write_wav(tmp_path / "talk.wav", recording(5, seed=77)[0]), TENANT)
    cluster.wait(submit(to, file, options, tenant=TENANT, labels={"project": "archive"}))
    report = make_report(to.books.reader.accounts(*DAYS), DAYS, ["label:project"], None)
    (row,) = report.rows
    assert (row.keys, row.runs) == ({"label:project": "archive"}, 1)
    assert row.figures.audio_seconds > 4

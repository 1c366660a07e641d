"""A worker loads a model while it idles, and the first job finds it in memory."""

from __future__ import annotations

import shutil
from pathlib import Path

from gpu_worker.builtin import HELLO, PICO
from tests.integration.conftest import StartCluster


def test_the_first_job_needs_no_file_of_a_prefetched_model(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(PICO, model)
    cluster = start_cluster(workers=1, allowed_models=str(model), prefetch_models=str(model))
    cluster.wait_until(lambda: bool(cluster.events("model_prefetched")))
    (model / "model.bin").write_bytes(b"not a model any more")
    job = cluster.wait(cluster.submit(HELLO, model=str(model), language="en"))
    assert job.status == "completed"
    assert cluster.words(job)
    assert [line["model"] for line in cluster.events("model_prefetched")] == [str(model)]

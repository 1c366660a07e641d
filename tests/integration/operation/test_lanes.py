"""A short job does not wait for a long one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.inputs.speech import recording, write_wav
from tests.integration.conftest import StartCluster

HOUR = 3600


def test_a_one_minute_job_behind_a_two_hour_job_is_done_before_a_fifth_of_that(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=1)
    # The long one takes minutes, so that a busy machine has time for all else of the short one.
    ten_minutes, _ = recording(600, seed=80)
    two_hours = np.tile(ten_minutes[: 600 * 16_000], 12)
    long_job = cluster.submit(
        write_wav(tmp_path / "long.wav", two_hours), model="fake-30x", language="en"
    )
    cluster.wait_until(lambda: cluster.connection.job("default", long_job.id).chunks.total > 0)
    short_job = cluster.submit(
        write_wav(tmp_path / "short.wav", recording(60, seed=81)[0]),
        model="fake-30x",
        language="en",
    )
    assert cluster.wait(short_job).status == "completed"
    progress = cluster.connection.job("default", long_job.id).progress
    print(f"\nthe two-hour job was {progress:.1%} done when the one-minute job had its result")
    assert progress < 0.2

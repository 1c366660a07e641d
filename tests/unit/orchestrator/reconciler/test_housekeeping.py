"""What is of no use any more is removed."""

from __future__ import annotations

import time

from orchestrator.cluster.connection import Cluster
from orchestrator.reconciler.housekeeping import Housekeeping
from orchestrator.reconciler.leading import Leading
from tasks.runs import keys
from tests.inputs.examples import TENANT


def test_uploads_that_nobody_submitted_go_after_a_day(connection: Cluster) -> None:
    old, new = (f"{int((time.time() - age) * 1000):011x}0123" for age in (25 * 3600, 60))
    for upload in (old, new):
        connection.store.put(keys.upload(TENANT, upload), b"audio")
    leading = Leading(connection.redis, 1.0)
    assert leading.take()
    Housekeeping(connection, leading).remove_unused_uploads()
    assert list(connection.store.list(keys.upload(TENANT, ""))) == [keys.upload(TENANT, new)]

"""What a cluster makes of the options that a submitter gives."""

from __future__ import annotations

import pytest

from config.settings import Settings
from orchestrator.jobs.options import with_allowed_lane
from tasks.runs.options import JobOptions
from tasks.runs.stages import Lane


@pytest.mark.parametrize(
    ("tenant", "asked", "lane"),
    [
        ("own", Lane.INTERACTIVE, Lane.INTERACTIVE),
        ("listed", Lane.INTERACTIVE, Lane.INTERACTIVE),
        ("other", Lane.INTERACTIVE, None),  # by the file's length
        ("other", Lane.BULK, Lane.BULK),
        ("other", None, None),
    ],
)
def test_long_files_of_other_tenants_do_not_push_in(
    tenant: str, asked: Lane | None, lane: Lane | None
) -> None:
    settings = Settings(tenant="own", interactive_tenants="listed")
    options = JobOptions(language="en", lane=asked)
    assert with_allowed_lane(options, tenant, settings) == options.model_copy(update={"lane": lane})

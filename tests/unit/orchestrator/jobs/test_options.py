"""A submitter's options are completed and checked for this cluster."""

from __future__ import annotations

from typing import Any

import pytest

from config.settings import Settings
from gpu_worker.errors import ModelNotTrusted, UnknownModel
from orchestrator.jobs.options import accepted_options, allowing, with_allowed_lane
from tasks.runs.options import JobOptions
from tasks.runs.stages import Lane


def accept(values: Settings, **options: Any) -> JobOptions:
    return accepted_options(JobOptions.model_validate({"model": "pico", **options}), values)


@pytest.mark.parametrize(
    "options",
    [
        {"model": "/etc"},
        {"model": "owner/name"},
        {"model": "fake-1x"},
        {"model": "base", "revision": "0123abc"},
        {"align_model": "/etc"},
        {"align_model": "owner/name"},
        {"align_model": "fake"},
        {"diarize_model": "owner/name", "diarize": True},
        {"diarize_model": "/etc", "diarize": True},
        {"diarize_model": "fake", "diarize": True},
    ],
)
def test_a_job_may_name_only_models_that_the_operator_knows(
    settings: Settings, options: dict[str, Any]
) -> None:
    closed = settings.model_copy(update={"allowed_models": ""})
    with pytest.raises(ModelNotTrusted):
        accept(closed, **options)


def test_what_the_operator_lists_may_be_named(settings: Settings) -> None:
    listed = "owner/name, fake,/models/own,base@0123abc"
    values = settings.model_copy(update={"allowed_models": listed})
    for name in ("owner/name", "fake-10x", "/models/own"):
        if name != "/models/own":  # this machine has no such directory
            assert accept(values, model=name).model == name
        assert accept(values, align_model=name).align_model == name
    assert accept(values, model="base", revision="0123abc").revision == "0123abc"
    with pytest.raises(UnknownModel):
        accept(values, model="/models/own")


def test_the_operator_s_own_command_names_any_model(settings: Settings) -> None:
    options = JobOptions(model="owner/name", revision="0123abc", align_model="another/name")
    values = allowing(settings.model_copy(update={"allowed_models": "fake"}), options)
    assert accepted_options(options, values) == options
    assert "fake" in values.allowed
    closed = settings.model_copy(update={"allowed_models": ""})
    for name in ("fake-10x", "owner/name"):
        own = JobOptions(model=name)
        assert accepted_options(own, allowing(closed, own)) == own


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

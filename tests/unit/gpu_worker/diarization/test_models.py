"""Names of diarization models."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_worker.diarization.models import (
    COMMUNITY,
    check_trusted,
    diarize_model,
    is_on_hub,
    needs_token,
)
from gpu_worker.errors import ModelNotTrusted, UnknownModel


@pytest.mark.parametrize(
    ("transcription", "chosen", "expected"),
    [
        ("pico", None, "pico-voice"),
        ("fake", None, "fake"),
        ("fake-50x", None, "fake"),
        ("faker", None, COMMUNITY),
        ("large-v3", None, COMMUNITY),
        ("large-v3", "pico-voice", "pico-voice"),
        ("pico", "owner/name", "owner/name"),
    ],
)
def test_the_model_suits_the_transcription_unless_one_is_chosen(
    transcription: str, chosen: str | None, expected: str
) -> None:
    assert diarize_model(transcription, chosen) == expected


@pytest.mark.parametrize(
    ("name", "on_hub", "gated"),
    [
        (COMMUNITY, True, True),
        ("pyannote/speaker-diarization-3.1", True, True),
        ("somebody/her-pipeline", True, False),
        ("pico-voice", False, False),
        ("offline", False, False),
        ("fake-9x", False, False),
    ],
)
def test_which_models_come_from_the_hub_and_need_a_token(
    name: str, on_hub: bool, gated: bool
) -> None:
    assert (is_on_hub(name), needs_token(name)) == (on_hub, gated)


def test_a_directory_with_a_pipeline_is_a_model(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel):
        is_on_hub(str(tmp_path))
    (tmp_path / "config.yaml").touch()
    assert not is_on_hub(str(tmp_path))


@pytest.mark.parametrize("name", ["", "community", "../up", "a/b/c", "pico-voices", "offline-2"])
def test_any_other_name_is_unknown(name: str) -> None:
    with pytest.raises(UnknownModel, match="There is no diarization model"):
        is_on_hub(name)


@pytest.mark.parametrize("name", ["pico-voice", "offline", "fake-50x", COMMUNITY, "me/mine"])
def test_built_in_models_pyannotes_and_those_named_are_trusted(name: str) -> None:
    check_trusted(name, {"me/mine", "fake"})


@pytest.mark.parametrize("name", ["fake", "fake-50x", "/etc", "/no/such/directory"])
def test_what_is_not_listed_is_refused_whether_it_exists_or_not(name: str) -> None:
    with pytest.raises(ModelNotTrusted, match=f"{name} is not one of"):
        check_trusted(name, {"me/mine"})


@pytest.mark.parametrize("name", ["", "community", "../up", "a/b/c"])
def test_a_name_of_no_form_is_no_model(name: str) -> None:
    with pytest.raises(UnknownModel, match="There is no diarization model"):
        check_trusted(name, {"me/mine"})


def test_a_model_that_may_hold_anybodys_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("pipeline: {}")
    for name in ("me/mine", str(tmp_path)):
        with pytest.raises(ModelNotTrusted, match="not one of"):
            check_trusted(name, {""})
    check_trusted(str(tmp_path), {str(tmp_path)})

"""Which models jobs may name."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_worker.errors import ModelNotTrusted, UnknownModel
from gpu_worker.models.allowed import check_allowed


@pytest.mark.parametrize("name", ["auto", "pico", "base", "tiny.en", "large-v3-turbo"])
def test_the_names_of_the_tables_are_allowed(name: str) -> None:
    check_allowed(name, ())


@pytest.mark.parametrize("name", ["owner/name", "/etc", "fake", "fake-1x", "Systran/other"])
def test_any_other_name_must_be_listed(name: str) -> None:
    with pytest.raises(ModelNotTrusted, match=r"not one of the models that jobs may name"):
        check_allowed(name, {"another/name"})
    check_allowed(name, {name.partition("-1x")[0]})


def test_an_answer_does_not_say_whether_a_directory_exists(tmp_path: Path) -> None:
    told = []
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ModelNotTrusted) as refused:
            check_allowed(str(path), ())
        told.append(refused.value.message.replace(str(path), "PATH"))
    assert told[0] == told[1]


def test_a_revision_must_be_listed_with_its_model() -> None:
    with pytest.raises(ModelNotTrusted, match="base@0123abc is not"):
        check_allowed("base", {"base"}, revision="0123abc")
    check_allowed("base", {"base@0123abc"}, revision="0123abc")
    with pytest.raises(ModelNotTrusted):
        check_allowed("owner/name", {"owner/name@0123abc"})


def test_a_name_that_is_no_model_is_unknown() -> None:
    with pytest.raises(UnknownModel, match="no model named 'larg-v3'"):
        check_allowed("larg-v3", ())

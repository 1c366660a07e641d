"""Log lines in one form, from all libraries."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from config.logging import configure_logging


def test_our_lines_and_those_of_libraries_are_json_with_the_job(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO", "json")
    with structlog.contextvars.bound_contextvars(job="job-1"):
        structlog.get_logger("ours").info("unit_ended", seconds=1.5)
        logging.getLogger("theirs").warning("careful")
    ours, theirs = map(json.loads, capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["seconds"], ours["job"]) == ("unit_ended", 1.5, "job-1")
    assert (theirs["event"], theirs["level"], theirs["job"]) == ("careful", "warning", "job-1")
    assert ours["timestamp"].endswith("Z") and theirs["logger"] == "theirs"


def test_people_get_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "text")
    logging.getLogger("theirs").warning("careful")
    assert "careful" in capsys.readouterr().err


def test_less_than_the_level_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("error", "json")
    logging.getLogger("theirs").warning("careful")
    assert capsys.readouterr().err == ""


def test_debugging_shows_our_lines_and_no_library_s(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("DEBUG", "json")
    logging.getLogger("tasks.stages.prepare").debug("ours")
    logging.getLogger("botocore.auth").debug("x-amz-security-token: secret")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "ours"


def test_an_exception_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("theirs").exception("it_failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: broken" in json.loads(line)["exception"]

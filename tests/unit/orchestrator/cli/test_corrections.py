"""`review` and `corrections`: where to listen, what was said, and the labelled set of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu_worker.accuracy.labelled import labelled_files
from orchestrator import cli
from orchestrator.cluster.connection import Cluster
from orchestrator.results.corrections import Action, LineChange, correct
from tests.inputs.doubted import DOUBTED, INVENTED, WRONG, publish, publish_sound
from tests.inputs.examples import TENANT, a_manifest, write_records
from tests.unit.orchestrator.cli.test_cli import Ended

Run = Callable[..., Ended]


@pytest.fixture
def run(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run a command in this process, on the cluster of the test."""
    values = connection.settings
    assert values.redis_url is not None
    monkeypatch.setenv("REDIS_URL", values.redis_url.get_secret_value())
    monkeypatch.setenv("SCRIPTORIUM_STORE_URL", values.store_url or "")
    monkeypatch.setenv("SCRIPTORIUM_HOME", str(values.home))
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["scriptorium", *map(str, arguments)])
        capsys.readouterr()
        status: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code or 0
        return Ended(status, *capsys.readouterr())

    return run


@pytest.fixture
def job(connection: Cluster) -> str:
    job = publish(connection)
    changes = [
        LineChange(WRONG, 0.5, Action.CORRECTED, "We met a nice team."),
        LineChange(INVENTED, 3.0, Action.REFUSED),
    ]
    correct(connection, TENANT, job, changes, run=1, seen=0, by="Anna", key=None)
    return job


def test_the_review_names_places_reasons_and_texts_worst_first(
    connection: Cluster, run: Run
) -> None:
    job = publish(connection)
    told = run("review", job, "--json").json
    assert [place["doubt"] for place in told] == [0.6, 0.6, 0.3, 0.2]
    assert told[0] == {
        "start": 3.0, "end": 5.0, "doubt": 0.6, "codes": ["stock_phrase"],
        "segment": INVENTED, "text": "Thanks for watching!",
    }  # fmt: skip
    assert "text" not in told[1]
    lines = run("review", job, "--limit", 1).out.splitlines()
    assert lines[1].split() == [
        "0:03-0:05",
        "0.60",
        *["stock_phrase", "Thanks", "for", "watching!"],
    ]
    assert len(lines) == 2


def test_what_people_have_settled_is_not_to_be_reviewed(job: str, run: Run) -> None:
    told = run("review", job, "--json").json
    assert [place.get("segment") for place in told] == [None, 2]


def test_corrections_are_shown_with_who_and_when(job: str, run: Run) -> None:
    told = run("corrections", "show", job, "--json").json
    assert (told["run"], told["version"]) == (1, 1)
    assert [(line["segment"], line["action"], line["by"]) for line in told["lines"]] == [
        (WRONG, "corrected", "Anna"),
        (INVENTED, "refused", "Anna"),
    ]
    shown = run("corrections", "show", job).out
    assert "We met a nice team." in shown and "Thanks for watching!" in shown


def test_get_prints_the_corrected_text_unless_it_is_not_wanted(job: str, run: Run) -> None:
    assert "nice team" in run("get", job).out
    machine = run("get", job, "--no-corrections").out
    assert "ice cream" in machine and "Thanks" in machine


def test_corrected_lines_are_exported_as_a_labelled_set(
    connection: Cluster, job: str, run: Run, tmp_path: Path
) -> None:
    publish_sound(connection, np.zeros(int(DOUBTED.duration) * 16_000, np.float32))
    ended = run("corrections", "export", job, "-o", tmp_path / "set")
    assert (ended.status, ended.out.split()[:2]) == (0, ["1", "clip"])
    (file,) = labelled_files(tmp_path / "set")
    assert file.text.strip() == "We met a nice team."
    (entry,) = [it for it in run("audit", "--json").out.splitlines() if "corrections.export" in it]
    assert f'"job":"{job}"' in entry


def test_lines_of_a_translation_are_no_labelled_set_and_that_is_told(
    connection: Cluster, run: Run, tmp_path: Path
) -> None:
    write_records(connection.store, a_manifest(language="de", task="translate"))
    job = publish(connection, replace(DOUBTED, language="de"))
    change = [LineChange(WRONG, 0.5, Action.CONFIRMED)]
    correct(connection, TENANT, job, change, run=1, seen=0, by="Anna", key=None)
    ended = run("corrections", "export", job, "-o", tmp_path / "set")
    assert (ended.status, ended.out.split()[:2]) == (0, ["0", "clips"])
    assert f"{job}: 1 of a translation left out" in ended.err
    assert not (tmp_path / "set").exists()


def test_unknown_jobs_are_told(run: Run) -> None:
    for command in (("review",), ("corrections", "show")):
        ended = run(*command, "job-9")
        assert ended.status == 1 and "unknown_job" in ended.err

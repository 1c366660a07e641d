"""Collections on the command line."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.collections import places
from orchestrator.collections.records import read_lines
from tests.unit.orchestrator.cli.test_cli import Run, cluster, run
from tests.unit.orchestrator.collections.collected import collecting, end_jobs

__all__ = ["cluster", "run"]
OPTIONS = ("--model", "pico", "--language", "en")


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def test_a_list_of_local_files_is_submitted_watched_and_retried(
    run: Run, cluster: Cluster, recordings: Path
) -> None:
    listed = recordings / "may.csv"
    listed.write_text("source,language\na.wav,de\nb.wav,\nmissing.wav,\ns3://calls/c.wav,\n")
    made = run("collections", "submit", str(listed), *OPTIONS)
    assert made.status == 0, made.err
    name = made.out.strip()
    duty = collecting(cluster)
    duty.go_on()
    end_jobs(cluster, "b.wav")
    duty.go_on()
    watched = run("collections", "watch", name)
    assert watched.status == 3
    assert "4 lines: 2 completed, 1 failed, 1 refused" in watched.out
    assert "line 3  failed" in watched.out and "unreadable_audio" in watched.out
    assert "line 4  refused  -" in watched.out and "source_missing" in watched.out
    assert [it["id"] for it in run("collections", "list", "--json").json] == [name]
    assert "may.csv" in run("collections", "list").out
    rows = run("collections", "lines", name, "--status", "completed", "--json").json
    assert [row["name"] for row in rows] == ["a.wav", "c.wav"]
    assert len(run("collections", "lines", name).out.splitlines()) == 4
    first = cluster.records.manifest("default", rows[0]["job"])
    assert first.options.language == "de"
    again = run("collections", "retry", name, "--json").json
    assert again["round"] == 2
    assert run("collections", "cancel", name).status == 0
    duty.go_on()
    assert run("collections", "status", name, "--json").json["status"] == "canceled"
    assert run("collections", "delete", name).status == 0
    gone = run("collections", "status", name)
    assert gone.status == 1 and "unknown_collection" in gone.err


def test_several_files_are_one_collection_and_a_key_gives_the_same(
    run: Run, cluster: Cluster, recordings: Path
) -> None:
    files = [str(recordings / name) for name in ("a.wav", "b.wav")]
    asked = ("collections", "submit", *files, *OPTIONS, "--idempotency-key", "may", "--json")
    shown = run(*asked).json
    assert shown["counts"]["total"] == 2
    assert run(*asked, "--ready-by", "2 h").json["id"] == shown["id"]


def test_a_collection_that_is_awaited_ends_as_watching_it_does(
    run: Run, cluster: Cluster, recordings: Path
) -> None:
    files = [str(recordings / name) for name in ("a.wav", "b.wav")]
    asked = ("collections", "submit", *files, *OPTIONS, "--idempotency-key", "may")
    name = run(*asked).out.strip()
    duty = collecting(cluster)
    duty.go_on()
    end_jobs(cluster, "b.wav")  # it fails
    duty.go_on()
    awaited = run(*asked, "--wait")
    assert (awaited.status, awaited.out.strip()) == (3, name)
    assert run("collections", "watch", name).status == 3
    assert run(*asked, "--wait", "--json").json["status"] == "partial"


def test_a_list_with_times_from_now_is_the_same_when_it_is_sent_again(
    run: Run, cluster: Cluster, recordings: Path
) -> None:
    listed = recordings / "may.csv"
    listed.write_text("source,ready_by\na.wav,2 h\nb.wav,\n")
    asked = ("collections", "submit", str(listed), *OPTIONS, "--idempotency-key", "k", "--json")
    shown = run(*asked, "--ready-by", "in 3 h").json
    assert shown["ready_by"] == pytest.approx(time.time() + 3 * 3600, abs=60)
    assert run(*asked, "--ready-by", "in 3 h").json["id"] == shown["id"]
    assert run(*asked, "--ready-by", "soon").status == 2


def test_files_of_a_folder_are_ready_so_long_after_they_were_taken(
    run: Run, cluster: Cluster, recordings: Path
) -> None:
    watching = ("watch", str(recordings), "--once", "--settle", "0.1", "--suffix", ".wav", *OPTIONS)
    job = run(*watching, "--ready-by", "2 h").out.split()[0]
    assert cluster.job("default", job).ready_by == pytest.approx(time.time() + 7200, abs=60)
    refused = run(*watching, "--ready-by", "2030-05-01T18:00:00Z")
    assert refused.status == 2 and "from then on" in refused.err
    assert run("watch", job, "--ready-by", "2 h").status == 2


def test_wrong_uses_are_refused(run: Run, cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    for wrong in (
        ("submit", str(tmp_path / "missing.csv")),
        ("submit", "a.wav", "--suffix", ".wav"),
        ("submit", str(tmp_path / "empty.jsonl")),
        ("retry", "c-0"),
    ):
        assert run("collections", *wrong).status in (1, 2)


def test_a_folder_is_watched_once(run: Run, cluster: Cluster, recordings: Path) -> None:
    taken = run("watch", str(recordings), "--once", "--settle", "0.1", "--suffix", ".wav", *OPTIONS)
    assert taken.status == 0, taken.err
    assert len(taken.out.split()) == 2
    assert {cluster.job("default", job).ready_by for job in taken.out.split()} == {None}
    again = run("watch", str(recordings), "--once", "--settle", "0.1", "--suffix", ".wav", *OPTIONS)
    assert again.out == ""


def test_files_that_need_not_settle_are_told_too(
    run: Run, cluster: Cluster, recordings: Path
) -> None:
    taken = run("watch", str(recordings), "--once", "--settle", "0", "--suffix", ".wav", *OPTIONS)
    assert len(taken.out.split()) == 2


def test_a_folder_that_is_not_there_is_no_job(run: Run, cluster: Cluster, tmp_path: Path) -> None:
    told = run("watch", tmp_path / "missing")
    assert told.status == 2
    assert "There is no folder" in told.err


def test_a_file_whose_name_is_no_text_is_taken_as_submit_takes_it(
    run: Run, cluster: Cluster, recordings: Path
) -> None:
    good = next(recordings.glob("*.wav"))
    odd = os.fsdecode(bytes(recordings) + b"/\xff\n.wav")
    Path(odd).write_bytes(good.read_bytes())
    alone = run("submit", odd, "--json", *OPTIONS).json["name"]
    assert alone == "?\n.wav"
    for files in ([odd, str(good), "\udcfe.wav", ""], [str(good), odd, "\udcfe.wav", ""]):
        shown = run("collections", "submit", *files, "--json", *OPTIONS)
        assert shown.status == 0, shown.err
        key = places.lines(cluster.settings.tenant, shown.json["id"])
        lines = read_lines(key, cluster.store.get(key))
        assert {line.name for line in lines if line.artifact} == {alone, good.name}
        refused = [line.error["code"] for line in lines if line.error]
        assert refused == ["source_missing"] * 2  # one is not there, and one is a directory
    listed = os.fsdecode(bytes(recordings) + b"/\xff.csv")
    Path(listed).write_bytes(b"source\n\xff.wav\n" + os.fsencode(good) + b"\n")
    assert run("collections", "submit", listed, "--json").json["name"] == "?.csv"


@pytest.mark.parametrize("name", ["", "a\nb", "\udcff", "x" * 256])
def test_a_name_that_the_api_would_refuse_is_refused(
    run: Run, cluster: Cluster, recordings: Path, name: str
) -> None:
    told = run("collections", "submit", next(recordings.glob("*.wav")), "--name", name)
    assert (told.status, "--name" in told.err) == (2, True)


def test_an_empty_list_is_not_to_be_divided(run: Run, cluster: Cluster, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("source\n")
    told = run("collections", "submit", empty)
    assert told.status != 0
    assert "at least one line" in told.err
    assert "Divide" not in told.err


def test_options_are_for_a_folder_alone(run: Run, cluster: Cluster) -> None:
    refused = run("watch", "some-job", "--language", "en")
    assert refused.status == 2 and "no folder" in refused.err

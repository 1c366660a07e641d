"""The child's program, run here without its bounds; `test_audio.py` runs the child itself."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gpu_worker import decoder
from gpu_worker.audio import AudioLimits
from gpu_worker.mixing import Mixer
from tests.bad_audio import CASES, Case, encoded, tone, wav

LIMITS = AudioLimits()
SPEECH = wav(tone(2.0).tobytes())


@pytest.fixture(autouse=True)
def _no_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("die_with_parent", "confine", "allow_cpu_seconds"):
        monkeypatch.setattr(decoder, name, lambda *_: None)


@pytest.fixture
def decode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """The report of the decoder on some bytes."""

    def decode(
        content: bytes, channel: int | None = None, limits: AudioLimits = LIMITS
    ) -> dict[str, Any]:
        (tmp_path / "media").write_bytes(content)
        with (tmp_path / "media").open("rb") as media, (tmp_path / "pcm").open("wb") as pcm:
            request = {
                "media": media.fileno(),
                "pcms": [pcm.fileno()],
                "channel": channel,
                "parent": os.getppid(),
                "limits": asdict(limits),
            }
            monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
            decoder.main()
        report: dict[str, Any] = json.loads(capsys.readouterr().out)
        return report

    return decode


def test_the_report_names_what_was_written(decode: Any, tmp_path: Path) -> None:
    audio = decode(SPEECH)["audio"]
    pcm = (tmp_path / "pcm").read_bytes()
    assert pcm == tone(2.0).tobytes()
    assert audio["sha256"] == hashlib.sha256(pcm).hexdigest()
    assert (audio["samples"], audio["channels"], audio["source_sample_rate"]) == (32_000, 1, 16_000)
    assert (audio["codec"], audio["container"]) == ("pcm_s16le", "wav")


@pytest.mark.parametrize("case", [case for case in CASES if case.code], ids=lambda case: case.label)
def test_a_bad_file_is_an_error_in_the_report(decode: Any, case: Case) -> None:
    error = decode(case.content())["error"]
    assert error["code"] == case.code
    assert error["message"]


def test_a_gap_is_a_gap_in_every_split_channel(tmp_path: Path) -> None:
    mixer = Mixer(None, LIMITS, split=True)
    frame = av.AudioFrame.from_ndarray(np.array([[1, -1] * 800], "<i2"), "s16", "stereo")
    frame.sample_rate = 16_000
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context((tmp_path / str(n)).open("wb")) for n in range(3)]
        sink = decoder._Sink(mixer, [decoder._Output(file.fileno()) for file in files], LIMITS)
        for data in mixer.convert(frame):
            sink.write(data)
        assert sink.write_silence(0.5) == (0.05, 0.55)
        sink.flush()
    written = [np.fromfile(tmp_path / str(n), "<i2") for n in range(3)]
    assert [len(pcm) for pcm in written] == [8800, 8800, 0]
    assert [sorted(set(pcm.tolist())) for pcm in written[:2]] == [[0, 1], [-1, 0]]
    assert len({output.digest.hexdigest() for output in sink.outputs}) == 2


def test_a_gap_in_the_file_s_clock_becomes_silence(decode: Any) -> None:
    audio = decode(encoded(".mka", "flac", seconds=6.0, silent_from=2.0, silent_to=4.0))["audio"]
    assert audio["samples"] / 16_000 == pytest.approx(6.0, abs=0.1)
    assert "timestamp_gaps" in [warning["code"] for warning in audio["warnings"]]


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.warnings], ids=lambda case: case.label
)
def test_damage_is_told(decode: Any, case: Case) -> None:
    audio = decode(case.content())["audio"]
    assert audio["samples"] > 0
    assert set(case.warnings) <= {warning["code"] for warning in audio["warnings"]}


def test_long_audio_is_written_in_pieces(decode: Any, tmp_path: Path) -> None:
    audio = decode(wav(tone(90.0).tobytes()))["audio"]
    assert (tmp_path / "pcm").stat().st_size == 2 * audio["samples"] == 90 * 32_000


@pytest.mark.parametrize("suffix", [".wav", ".ogg"])
def test_audio_that_is_too_long_is_refused(decode: Any, suffix: str) -> None:
    content = SPEECH if suffix == ".wav" else encoded(".ogg", "libopus")
    report = decode(content, limits=replace(LIMITS, max_seconds=1.0))
    assert report["error"]["code"] == "audio_out_of_bounds"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EFBIG, "audio_out_of_bounds"),
        (errno.ENOMEM, "audio_out_of_bounds"),
        (errno.EIO, "unreadable_audio"),
    ],
)
def test_what_the_system_refuses_is_told(
    decode: Any, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(decoder.os, "write", refuse)
    assert decode(SPEECH)["error"]["code"] == code


def test_a_channel_that_is_not_there_is_an_invalid_option(decode: Any) -> None:
    assert decode(SPEECH, channel=1)["error"]["code"] == "invalid_option"

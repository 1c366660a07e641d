"""The child's program, run here without its bounds; `test_audio.py` runs the child itself."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.audio.decoder import program as decoder
from gpu_worker.audio.decoder import sink
from gpu_worker.audio.decoder.mixing import Mixer
from gpu_worker.audio.decoder.sink import Output, Sink
from tests.inputs.bad_audio import CASES, ODD_CASES, Case, encoded, opposite, tone, wav

LIMITS = AudioLimits()
SPEECH = wav(tone(2.0).tobytes())


@pytest.fixture(autouse=True)
def _no_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("die_with_parent", "confine", "seal", "allow_cpu_seconds"):
        monkeypatch.setattr(decoder, name, lambda *_: None)
    monkeypatch.setattr(sink, "allow_cpu_seconds", lambda *_: None)


@pytest.fixture
def decode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """The report of the decoder on some bytes."""

    def decode(
        content: bytes,
        channel: int | None = None,
        limits: AudioLimits = LIMITS,
        track: int | None = None,
    ) -> dict[str, Any]:
        (tmp_path / "media").write_bytes(content)
        with (tmp_path / "media").open("rb") as media, (tmp_path / "pcm").open("wb") as pcm:
            request = {
                "media": media.fileno(),
                "pcms": [pcm.fileno()],
                "channel": channel,
                "track": track,
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
    assert (audio["outputs"], audio["samples"]) == (1, 32_000)
    assert (audio["samples"], audio["channels"], audio["source_sample_rate"]) == (32_000, 1, 16_000)
    assert (audio["codec"], audio["container"]) == ("pcm_s16le", "wav")


@pytest.mark.parametrize("case", [case for case in CASES if case.code], ids=lambda case: case.label)
def test_a_bad_file_is_an_error_in_the_report(decode: Any, case: Case) -> None:
    error = decode(case.content())["error"]
    assert error["code"] == case.code
    assert error["message"]


@pytest.mark.parametrize("case", ODD_CASES, ids=lambda case: case.label)
def test_an_odd_file_is_heard_to_its_end(decode: Any, case: Case) -> None:
    audio = decode(case.content())["audio"]
    assert {warning["code"] for warning in audio["warnings"]} == set(case.warnings)
    assert audio["samples"] / 16_000 == pytest.approx(case.seconds, abs=0.1)


def test_a_gap_is_a_gap_in_every_split_channel(tmp_path: Path) -> None:
    mixer = Mixer(None, LIMITS, split=True)
    frame = av.AudioFrame.from_ndarray(np.array([[1, -1] * 800], "<i2"), "s16", "stereo")
    frame.sample_rate = 16_000
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context((tmp_path / str(n)).open("wb")) for n in range(3)]
        written_to = Sink(mixer, [Output(file.fileno()) for file in files], LIMITS)
        for data in mixer.convert(frame):
            written_to.write(data)
        assert written_to.write_silence(0.5) == (0.05, 0.55)
        written_to.flush()
    written = [np.fromfile(tmp_path / str(n), "<i2") for n in range(3)]
    assert [len(pcm) for pcm in written] == [8800, 8800, 0]
    assert [sorted(set(pcm.tolist())) for pcm in written[:2]] == [[0, 1], [-1, 0]]
    assert len(written_to.outputs) == 2


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

    monkeypatch.setattr(os, "write", refuse)
    assert decode(SPEECH)["error"]["code"] == code


def test_a_channel_that_is_not_there_is_an_invalid_option(decode: Any) -> None:
    assert decode(SPEECH, channel=1)["error"]["code"] == "invalid_option"


def _heard(pcm: Path) -> np.ndarray:
    """Root mean square of each tenth of a second."""
    samples = np.fromfile(pcm, "<i2").astype(float)
    return np.sqrt((samples[: len(samples) // 1600 * 1600].reshape(-1, 1600) ** 2).mean(axis=1))


@pytest.mark.parametrize(
    "case",
    [case for case in ODD_CASES if case.label.startswith("sound after")],
    ids=lambda case: case.label,
)
def test_sound_that_starts_after_the_picture_keeps_its_times(
    decode: Any, case: Case, tmp_path: Path
) -> None:
    decode(case.content())
    heard = _heard(tmp_path / "pcm")
    assert heard[:19].max() == 0
    assert heard[22:58].min() > 4000


def test_a_pause_at_the_start_of_amr_takes_its_time(decode: Any, tmp_path: Path) -> None:
    (case,) = (case for case in ODD_CASES if case.label == "AMR with pauses")
    decode(case.content())
    heard = _heard(tmp_path / "pcm")
    assert (
        heard[:4].max() == 0 and heard[5:13].min() > 0 and heard[15:29].max() == 0
    )  # not the last: a resampler ends late


@pytest.mark.parametrize("since", [0.0, 2.0])
def test_channels_of_opposite_polarity_are_heard(decode: Any, tmp_path: Path, since: float) -> None:
    (warning,) = decode(opposite(6.0, since))["audio"]["warnings"]
    assert warning["code"] == "opposite_channels"
    assert warning["start"] == pytest.approx(since, abs=0.5)
    assert warning["end"] == pytest.approx(6.0, abs=0.1)
    heard = _heard(tmp_path / "pcm") / (8000 / np.sqrt(2))
    missing = np.flatnonzero(heard < 0.9)
    assert len(missing) <= 5  # a change in the midst of sound takes half a second at most
    assert all(round(since * 10) - 1 <= place < since * 10 + 5 for place in missing)


@pytest.mark.parametrize(
    ("track", "default", "hertz"),
    [(None, 0, 440), (None, 1, 880), (None, None, 440), (0, 1, 440), (1, 0, 880), (2, 1, 1760)],
)
def test_the_track_that_was_chosen_is_taken_else_the_default_one(
    decode: Any, tmp_path: Path, track: int | None, default: int | None, hertz: int
) -> None:
    content = encoded(".mkv", "flac", seconds=1.0, tracks=3, default=default)
    warnings = decode(content, track=track)["audio"]["warnings"]
    spectrum = np.abs(np.fft.rfft(np.fromfile(tmp_path / "pcm", "<i2")[:16_000]))
    assert abs(int(spectrum.argmax()) - hertz) <= 2
    if track is not None:
        assert warnings == []
        return
    (warning,) = warnings
    assert warning["code"] == "several_audio_streams"
    assert f"track {default or 0} was taken" in warning["message"]


def test_a_track_that_is_not_there_is_an_invalid_option(decode: Any) -> None:
    error = decode(encoded(".mkv", "flac", seconds=0.5, tracks=2), track=2)["error"]
    assert error["code"] == "invalid_option"
    assert "2 audio tracks" in error["message"] and "no track 2" in error["message"]

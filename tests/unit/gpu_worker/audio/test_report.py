"""A report that a hostile file forged is no report."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.audio.report import ReportedAudio, ReportedError, check_audio, read_report
from gpu_worker.errors import UnreadableAudio

LIMITS = AudioLimits()
WARNING = {"code": "truncated_audio", "message": "It ends.", "start": 1.0, "end": 2.0}
AUDIO: dict[str, Any] = {
    "samples": 16_000,
    "outputs": 1,
    "source_sample_rate": 48_000,
    "channels": 2,
    "codec": "pcm_s16le",
    "container": "mov,mp4,m4a,3gp,3g2,mj2",
    "declared_seconds": 1.0,
    "warnings": [WARNING],
}


def read(**changes: Any) -> ReportedAudio | ReportedError:
    return read_report(json.dumps({"audio": AUDIO | changes}).encode())


def test_a_true_report_is_read() -> None:
    audio = read()
    assert isinstance(audio, ReportedAudio) and audio.samples == 16_000
    assert audio.warnings[0].warning().code == "truncated_audio"
    check_audio(audio, [32_000], LIMITS, split=False)
    error = read_report(b'{"error": {"code": "unreadable_audio", "message": "It is no audio."}}')
    assert isinstance(error, ReportedError) and error.code == "unreadable_audio"


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "../../api-keys/0"},
        {"split": ["../.."]},
        {"samples": "16000"},
        {"samples": 0},
        {"samples": -1},
        {"samples": 1.5},
        {"samples": True},
        {"samples": None},
        {"outputs": 0},
        {"outputs": 10**30},
        {"source_sample_rate": 10**9},
        {"channels": 0},
        {"codec": "../../etc/passwd"},
        {"codec": "a" * 1000},
        {"codec": "flac\n"},
        {"container": "<script>"},
        {"declared_seconds": -1.0},
        {"declared_seconds": float("nan")},
        {"declared_seconds": float("inf")},
        {"declared_seconds": 1e300},
        {"warnings": [WARNING] * 1000},
        {"warnings": [WARNING | {"code": "shard_failed"}]},
        {"warnings": [WARNING | {"message": "x" * 10_000}]},
        {"warnings": [WARNING | {"start": float("nan")}]},
        {"warnings": [WARNING | {"speaker": "x"}]},
        {"warnings": "none"},
    ],
    ids=str,
)
def test_a_field_out_of_its_bounds_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UnreadableAudio, match="makes no sense"):
        read(**changes)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"audio": null}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"error": {"code": "internal_error", "message": "x"}}',
        b'{"error": {"code": "disk_full", "message": ""}}',
        b'{"error": {"code": "disk_full", "message": "x", "hint": "x"}}',
        json.dumps({"audio": AUDIO, "error": {"code": "disk_full", "message": "x"}}).encode(),
    ],
    ids=lambda answer: answer[:40].decode(errors="replace"),
)
def test_what_is_no_report_is_refused(answer: bytes) -> None:
    with pytest.raises(UnreadableAudio, match="makes no sense"):
        read_report(answer)


@pytest.mark.parametrize(
    ("changes", "sizes", "split"),
    [
        ({}, [32_002], False),  # more than it says
        ({}, [31_998], False),
        ({}, [0], False),
        ({}, [32_000, 2], False),  # into a file that it says it left alone
        ({"outputs": 2}, [32_000, 32_000], False),
        ({"outputs": 1}, [32_000, 0], True),
        ({"outputs": 2}, [32_000, 0], True),
        ({"outputs": 3, "channels": 3}, [32_000, 32_000], True),
        ({"outputs": 17, "channels": 17}, [32_000] * 17, True),
        ({"source_sample_rate": 1}, [32_000], False),
    ],
    ids=str,
)
def test_a_report_that_does_not_fit_what_was_written_is_refused(
    changes: dict[str, Any], sizes: list[int], split: bool
) -> None:
    audio = read(**changes)
    assert isinstance(audio, ReportedAudio)
    with pytest.raises(UnreadableAudio, match="makes no sense"):
        check_audio(audio, sizes, LIMITS, split=split)


def test_split_channels_fit_their_files() -> None:
    audio = read(outputs=2)
    assert isinstance(audio, ReportedAudio)
    check_audio(audio, [32_000, 32_000, 0], replace(LIMITS, max_channels=2), split=True)

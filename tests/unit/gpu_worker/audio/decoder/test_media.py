"""Which files are opened, which track is taken, and what is refused before decoding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.audio.decoder.media import audio_stream, check_shape, open_media
from gpu_worker.errors import AudioOutOfBounds, NoAudioStream, UnreadableAudio
from tests.inputs.bad_audio import encoded, tone, wav

LIMITS = AudioLimits()
SPEECH = tone(2.0).tobytes()


def with_opened(path: Path, content: bytes, ask: Callable[[Any, int], Any]) -> Any:
    """What `ask` says of the container and its descriptor."""
    path.write_bytes(content)
    with path.open("rb") as file, open_media(file.fileno()) as container:
        return ask(container, file.fileno())


def test_a_file_without_sound_is_refused(tmp_path: Path) -> None:
    content = encoded(".mp4", None, picture=True)
    with pytest.raises(NoAudioStream):
        with_opened(tmp_path / "file", content, lambda found, _: audio_stream(found, LIMITS))


def test_a_codec_that_is_not_accepted_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(container: Any, _: int) -> None:
        monkeypatch.setattr("gpu_worker.audio.decoder.media._ACCEPTED", {"aac", "opus"})
        audio_stream(container, LIMITS)

    with pytest.raises(UnreadableAudio, match="pcm_s16le"):
        with_opened(tmp_path / "file", wav(SPEECH), ask)


@pytest.mark.parametrize(
    "content", [b"#EXTM3U\nother.wav\n", b"ffconcat version 1.0\nfile 'other.wav'\n", b"text"]
)
def test_what_refers_to_other_files_is_not_opened(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.wav").write_bytes(wav(SPEECH))
    with pytest.raises((av.FFmpegError, ValueError)):
        with_opened(tmp_path / "list.mp3", content, lambda *_: None)


@pytest.mark.parametrize(
    ("rate", "channels", "wrong"),
    [
        (LIMITS.min_sample_rate, 1, None),
        (LIMITS.max_sample_rate, LIMITS.max_channels, None),
        (LIMITS.min_sample_rate - 1, 1, "sample rate"),
        (LIMITS.max_sample_rate + 1, 1, "sample rate"),
        (16_000, 0, "channels"),
        (16_000, LIMITS.max_channels + 1, "channels"),
    ],
)
def test_rate_and_channels_have_bounds(rate: int, channels: int, wrong: str | None) -> None:
    if wrong is None:
        check_shape(rate, channels, LIMITS)
        return
    with pytest.raises(AudioOutOfBounds, match=wrong):
        check_shape(rate, channels, LIMITS)

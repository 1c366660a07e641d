"""Which files are opened, what their headers promise, and what is refused before decoding."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from gpu_worker.audio import AudioLimits
from gpu_worker.errors import AudioOutOfBounds, NoAudioStream, UnreadableAudio
from gpu_worker.media import audio_stream, check_shape, declared_seconds, open_media
from tests.bad_audio import encoded, tone, wav

LIMITS = AudioLimits()
SPEECH = tone(2.0).tobytes()


def with_opened(path: Path, content: bytes, ask: Callable[[Any, int], Any]) -> Any:
    """What `ask` says of the container and its descriptor."""
    path.write_bytes(content)
    with path.open("rb") as file, open_media(file.fileno()) as container:
        return ask(container, file.fileno())


def promised(path: Path, content: bytes) -> float | None:
    def ask(container: Any, media: int) -> float | None:
        return declared_seconds(container, audio_stream(container, LIMITS), media)

    found: float | None = with_opened(path / "file", content, ask)
    return found


def xing(frames: int, header: bytes, flags: int = 1, name: bytes = b"Xing") -> bytes:
    """An mp3 whose first frame says how many frames follow."""
    mp3 = bytearray(encoded(".mp3", "libmp3lame", write_xing="0"))
    mark = name + struct.pack(">II", flags, frames)
    mp3[:4] = header
    mp3[36 : 36 + len(mark)] = mark
    return bytes(mp3)


@pytest.mark.parametrize(
    ("content", "seconds"),
    [
        (wav(SPEECH), 2.0),
        (wav(SPEECH[:-32000]), 1.0),
        (wav(SPEECH[:-32000], declared=64000), 2.0),  # half of it is missing
        (wav(SPEECH, declared=0), None),
        (wav(SPEECH, declared=2**32 - 1), None),
        (wav(SPEECH, declared=2**31 - 37), None),
    ],
    ids=["whole", "short", "truncated", "zero", "piped", "piped by another"],
)
def test_a_wav_promises_what_its_header_says(
    tmp_path: Path, content: bytes, seconds: float | None
) -> None:
    assert promised(tmp_path, content) == seconds


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".flac", "flac"), (".m4a", "aac"), (".mka", "flac"), (".webm", "libopus")],
)
def test_containers_with_a_length_promise_it(tmp_path: Path, suffix: str, codec: str) -> None:
    assert promised(tmp_path, encoded(suffix, codec)) == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".ogg", "libopus"), (".ts", "aac"), (".aac", "aac")]
)
def test_containers_whose_length_is_a_guess_promise_nothing(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    assert promised(tmp_path, encoded(suffix, codec)) is None


def test_an_mp3_promises_what_its_first_frame_says(tmp_path: Path) -> None:
    assert promised(tmp_path, encoded(".mp3", "libmp3lame")) == pytest.approx(4.0, abs=0.1)
    assert promised(tmp_path, encoded(".mp3", "libmp3lame", write_xing="0")) is None


def test_behind_an_id3_tag_the_first_frame_is_found(tmp_path: Path) -> None:
    bare = encoded(".mp3", "libmp3lame", write_id3v2="0")
    tag = b"ID3\x04\0\0" + bytes((0, 0, 2, 0)) + bytes(256)
    assert promised(tmp_path, tag + bare) == promised(tmp_path, bare)


def test_a_first_frame_without_a_count_promises_nothing(tmp_path: Path) -> None:
    header = b"\xff\xfb\x54\xc4"  # MPEG 1, layer III, 64 kbit/s, 48 kHz, mono
    assert promised(tmp_path, xing(100, header)) == pytest.approx(100 * 1152 / 48_000)
    assert promised(tmp_path, xing(100, header, name=b"Info")) is not None
    assert promised(tmp_path, xing(100, header, flags=0)) is None


def test_a_file_without_sound_is_refused(tmp_path: Path) -> None:
    content = encoded(".mp4", None, picture=True)
    with pytest.raises(NoAudioStream):
        with_opened(tmp_path / "file", content, lambda found, _: audio_stream(found, LIMITS))


def test_a_codec_that_is_not_accepted_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(container: Any, _: int) -> None:
        monkeypatch.setattr("gpu_worker.media._CODECS", "aac,opus")
        audio_stream(container, LIMITS)

    with pytest.raises(UnreadableAudio, match="pcm_s16le"):
        with_opened(tmp_path / "file", wav(SPEECH), ask)


def test_pictures_beside_the_sound_are_not_read(tmp_path: Path) -> None:
    def ask(container: Any, _: int) -> set[str]:
        stream = audio_stream(container, LIMITS)
        return {packet.stream.type for packet in container.demux(stream)}

    content = encoded(".mp4", "aac", picture=True)
    assert with_opened(tmp_path / "file", content, ask) == {"audio"}


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

"""What headers promise, and what is no promise."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.audio.decoder.declared import Declared, declared_length
from gpu_worker.audio.decoder.media import audio_stream, open_media
from tests.inputs.bad_audio import encoded, tone, wav

SPEECH = tone(2.0).tobytes()
PLACEHOLDERS = (0, 2**32 - 1, 2**32 - 37, 2**31 - 1, 2**31 - 37, 0x7FFFF000, 2_000_000_000)


def promised(path: Path, content: bytes) -> float | None:
    found = declared(path, content)
    return None if found is None else found.seconds


def declared(path: Path, content: bytes) -> Declared | None:
    (path / "file").write_bytes(content)
    with (path / "file").open("rb") as file, open_media(file.fileno()) as container:
        stream = audio_stream(container, AudioLimits())
        return declared_length(container, stream, file.fileno())


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
        *((wav(SPEECH, declared=size), None) for size in PLACEHOLDERS),
        (wav(SPEECH, declared=1_234_567_890), 1_234_567_890 / 32_000),
        (wav(SPEECH, rate=4000, declared=864_000_000), None),  # 30 hours in 64 kB
    ],
    ids=["whole", "short", "truncated", *map(str, PLACEHOLDERS), "large", "endless"],
)
def test_a_wav_promises_what_its_header_says(
    tmp_path: Path, content: bytes, seconds: float | None
) -> None:
    assert promised(tmp_path, content) == seconds


@pytest.mark.parametrize("size", [64_000, 96_000])
def test_what_is_not_in_the_file_is_told_from_what_is(tmp_path: Path, size: int) -> None:
    found = declared(tmp_path, wav(SPEECH, declared=size))
    assert found == Declared(size / 32_000, is_there=size <= len(SPEECH))


@pytest.mark.parametrize("size", [2**31 - 1, 2_000_000_000])
def test_a_placeholder_in_an_aiff_or_au_promises_nothing(tmp_path: Path, size: int) -> None:
    au = b".snd" + struct.pack(">IIIII", 28, size, 3, 16_000, 1) + bytes(4)
    assert promised(tmp_path, au + tone(2.0).astype(">i2").tobytes()) is None
    assert promised(tmp_path, encoded(".aiff", "pcm_s16be")) == 4.0


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

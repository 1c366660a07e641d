"""Files that a decoder meets in the wild and in attacks, each with what must become of it.

`CASES` is the corpus; `case.write(directory)` makes the file and returns its path. The
files are built from bytes and with PyAV, so nothing binary lies in the repository.
"""

from __future__ import annotations

import random
import struct
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np

RATE = 16_000


@dataclass(frozen=True, slots=True)
class Case:
    """`code`: of the error, None if it decodes; `warnings`: the codes of its notices."""

    label: str
    content: Callable[[], bytes]
    code: str | None = None
    warnings: tuple[str, ...] = ()
    seconds: float | None = None  # within a tenth; None: any
    name: str = "audio.bin"

    def write(self, directory: Path) -> Path:
        path = directory / self.name
        path.write_bytes(self.content())
        return path


def tone(seconds: float = 2.0, rate: int = RATE, channels: int = 1) -> np.ndarray:
    """A 440 Hz tone as int16, one row a sample."""
    wave = 8000 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave.astype("<i2")[:, None], channels, axis=1)


def wav(
    data: bytes,
    rate: int = RATE,
    channels: int = 1,
    *,
    bits: int = 16,
    tag: int = 1,
    declared: int | None = None,
) -> bytes:
    """A RIFF file whose header may lie."""
    block = channels * bits // 8
    size = len(data) if declared is None else declared
    header = struct.pack(
        "<HHIIHH", tag, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits
    )
    return (
        b"RIFF" + struct.pack("<I", 36 + size & 0xFFFFFFFF) + b"WAVEfmt \x10\0\0\0" + header
        + b"data" + struct.pack("<I", size) + data
    )  # fmt: skip


def encoded(
    suffix: str, codec: str | None, *, seconds: float = 4.0, picture: bool = False,
    silent_from: float = 9e9, silent_to: float = 9e9, **options: str,
) -> bytes:  # fmt: skip
    """A tone in the container that `suffix` names.

    Between `silent_from` and `silent_to` nothing is written, which leaves a gap in the
    file's clock. `options` are the muxer's.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"file{suffix}"
        with av.open(str(path), "w", options=options) as out:
            audio = out.add_stream(codec, rate=48_000, layout="mono") if codec else None
            if picture:
                _mux_picture(out, seconds)
            if audio is not None:
                for frame in _frames(audio.codec_context, seconds):
                    if not silent_from <= float(frame.pts * frame.time_base) < silent_to:
                        out.mux(audio.encode(frame))
                out.mux(audio.encode(None))
        return path.read_bytes()


def _frames(context: av.AudioCodecContext, seconds: float) -> Iterator[av.AudioFrame]:
    samples = tone(seconds, 48_000).T
    context.open(strict=False)  # a picture before it has opened it
    resampler = av.AudioResampler(context.format.name, "mono", 48_000, context.frame_size or 1024)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
    yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _mux_picture(out: av.container.OutputContainer, seconds: float) -> None:
    stream = out.add_stream("mpeg4", rate=10)
    stream.width = stream.height = 64
    stream.pix_fmt = "yuv420p"
    for index in range(round(seconds * 10)):
        frame = av.VideoFrame(64, 64, "yuv420p")
        frame.pts = index
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _damaged(data: bytes) -> bytes:
    """An eighth of it, from the middle on, is noise."""
    middle, length = len(data) // 2, len(data) // 8
    noise = random.Random(1).randbytes(length)
    return data[:middle] + noise + data[middle + length :]


def _float_wav() -> bytes:
    values = tone()[:, 0].astype("<f4") / 32768
    values[5000:5010] = np.nan
    values[9000], values[9001] = np.inf, -np.inf
    return wav(values.tobytes(), bits=32, tag=3)


def _good() -> bytes:
    return wav(tone().tobytes())


SIBLING = "sibling.wav"  # what the playlists point at; the tests write it next to them
_FFCONCAT = f"ffconcat version 1.0\nfile '{SIBLING}'\n".encode()
_M3U8 = (
    f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n{SIBLING}\n#EXT-X-ENDLIST\n"
).encode()
_MOV_MP4 = partial(encoded, ".mp4", "aac")

CASES = (
    Case("zero bytes", lambda: b"", "unreadable_audio"),
    Case("text named wav", lambda: b"hello " * 500, "unreadable_audio", name="text.wav"),
    Case("a zip", lambda: b"PK\x03\x04" + bytes(500), "unreadable_audio"),
    Case("html", lambda: b"<!doctype html><script>1</script>", "unreadable_audio", name="a.mp3"),
    Case("header-only wav", lambda: wav(b""), "no_audio_samples"),
    Case("random bytes named mp3", lambda: random.Random(7).randbytes(20_000), "unreadable_audio",
         name="noise.mp3"),
    Case("mp4 without its index", lambda: _half(_MOV_MP4(picture=True)), "unreadable_audio"),
    Case("video without sound", partial(encoded, ".mp4", None, picture=True), "no_audio_stream"),
    Case("rate 0", lambda: wav(bytes(32_000), rate=0), "unreadable_audio"),
    Case("rate 1", lambda: wav(bytes(32_000), rate=1), "audio_out_of_bounds"),
    Case("rate 2**32-1", lambda: wav(bytes(32_000), rate=2**32 - 1), "unreadable_audio"),
    Case("rate 2**31-1", lambda: wav(bytes(32_000), rate=2**31 - 1), "audio_out_of_bounds"),
    Case("0 channels", lambda: wav(bytes(32_000), channels=0), "audio_out_of_bounds"),
    Case("255 channels", lambda: wav(bytes(32_000), channels=255), "audio_out_of_bounds"),
    Case("65535 channels", lambda: wav(bytes(32_000), channels=65535), "audio_out_of_bounds"),
    Case("0 bits", lambda: wav(bytes(32_000), bits=0), "unreadable_audio"),
    Case("ffconcat named mp3", lambda: _FFCONCAT, "unreadable_audio", name="list.mp3"),
    Case("m3u8 named mp3", lambda: _M3U8, "unreadable_audio", name="list2.mp3"),
    Case("m3u8", lambda: _M3U8, "unreadable_audio", name="list.m3u8"),
    Case("30 hours declared", lambda: wav(bytes(32_000), rate=4000, declared=4000 * 2 * 3600 * 30),
         "audio_out_of_bounds"),
    Case("wav cut short", lambda: wav(tone().tobytes(), declared=200_000), None,
         ("truncated_audio",), 2.0),
    Case("wav from a pipe", lambda: wav(tone().tobytes(), declared=2**32 - 1), None, (), 2.0),
    Case("faststart mp4 cut short", lambda: _half(_MOV_MP4(movflags="+faststart")), None,
         ("decode_errors", "truncated_audio")),
    Case("mp3 cut short", lambda: _half(encoded(".mp3", "libmp3lame")), None,
         ("truncated_audio",), 2.0),
    Case("mp3 damaged in the middle", lambda: _damaged(encoded(".mp3", "libmp3lame")), None,
         ("decode_errors", "truncated_audio")),
    Case("mp4 damaged in the middle", lambda: _damaged(_MOV_MP4(movflags="+faststart")), None,
         ("decode_errors",), 4.0),
    Case("webm with a gap", partial(encoded, ".webm", "libopus", silent_from=1, silent_to=3), None,
         ("timestamp_gaps",), 4.0),
    Case("NaN and infinity", _float_wav, None, (), 2.0),
    Case("chained ogg", lambda: encoded(".ogg", "libopus") * 2, None, (), 8.0),
    Case("video with sound", lambda: _MOV_MP4(picture=True), None, (), 4.0),
    Case("wrong extension", lambda: encoded(".flac", "flac"), None, (), 4.0, name="a.mp3"),
    Case("no extension", lambda: encoded(".ogg", "libopus"), None, (), 4.0, name="audio"),
    *(
        Case(f"named {name[:12]!r}", _good, None, (), 2.0, name=name)
        for name in (
            "a\nb.wav", "--help", ";", "$(touch x)", "`x`", "x" * 254, "concat:x|y", "http:x",
            "file:x", "%d.wav", "\u202egnp.wav", "\U0001f600.wav", "a b.wav", "\udcff.wav",
        )
    ),
)  # fmt: skip

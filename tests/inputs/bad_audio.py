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
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av

RATE = 16_000


@dataclass(frozen=True, slots=True)
class Case:
    """`code`: of the error, None if it decodes; `warnings`: the codes of its warnings."""

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


def tone(
    seconds: float = 2.0, rate: int = RATE, channels: int = 1, *, hertz: float = 440
) -> np.ndarray:
    """A tone as int16, one row a sample."""
    wave = 8000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
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
    silent_from: float = 9e9, silent_to: float = 9e9, start: float = 0.0, tracks: int = 1,
    default: int | None = None, cut: float = 0.0, muxer: str | None = None, **options: str,
) -> bytes:  # fmt: skip
    """A tone in the container that `suffix` names, from `start` on; a picture starts at 0.

    The first of several `tracks` has the tone, each further one an octave above the one before.
    Of the picture, `cut` seconds at its beginning are in the file but not shown (mp4).
    The track `default` is marked as the one to be played. Between `silent_from` and
    `silent_to` nothing is written, which leaves a gap in the file's clock. `options` are the
    muxer's.
    """
    import av  # late: a light installation has none

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"file{suffix}"
        with av.open(str(path), "w", format=muxer, options=options) as out:
            audio = [_track(out, codec, n, default) for n in range(tracks)] if codec else []
            if picture:
                _mux_picture(out, seconds, cut)
            for number, stream in enumerate(audio):
                for frame in _frames(stream.codec_context, seconds, 440 * 2**number, start):
                    assert frame.pts is not None and frame.time_base is not None
                    if not silent_from <= float(frame.pts * frame.time_base) < silent_to:
                        out.mux(stream.encode(frame))
                out.mux(stream.encode(None))
        return path.read_bytes()


def _track(
    out: av.container.OutputContainer, codec: str, number: int, default: int | None
) -> av.AudioStream:
    import av  # late: a light installation has none

    stream = out.add_stream(codec, rate=48_000, layout="mono", options={"strict": "-2"})
    assert isinstance(stream, av.AudioStream)
    if default is not None:
        marks = type(stream.disposition)
        stream.disposition = marks.default if number == default else marks(0)
    return stream


def _frames(
    context: av.AudioCodecContext, seconds: float, hertz: float, start: float
) -> Iterator[av.AudioFrame]:
    import av  # late: a light installation has none

    samples = tone(seconds, 48_000, hertz=hertz).T
    context.open(strict=False)  # a picture before it has opened it
    resampler = av.AudioResampler(context.format.name, "mono", 48_000, context.frame_size or 1024)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="s16", layout="mono")
    frame.sample_rate, frame.time_base = 48_000, Fraction(1, 48_000)
    frame.pts = round(start * 48_000)
    yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _mux_picture(out: av.container.OutputContainer, seconds: float, cut: float) -> None:
    import av  # late: a light installation has none

    stream = out.add_stream("mpeg4", rate=10)
    stream.width = stream.height = 64
    stream.gop_size = 300
    stream.pix_fmt = "yuv420p"
    for index in range(round(-cut * 10), round(seconds * 10)):
        frame = av.VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), format="yuv420p")
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


def amr(*parts: tuple[int, int, int], wide: bool = False) -> bytes:
    """AMR frames of 20 ms: each part is a frame type, its bytes and how many frames."""
    noise = random.Random(3)
    frames = (
        bytes([kind << 3 | 4]) + noise.randbytes(size)
        for kind, size, count in parts
        for _ in range(count)
    )
    return (b"#!AMR-WB\n" if wide else b"#!AMR\n") + b"".join(frames)


def gsm_wav(blocks: int, behind: bytes) -> bytes:
    """A wav of Microsoft's GSM, 40 ms and 65 bytes a block, with something behind the last."""
    data = random.Random(4).randbytes(65 * blocks) + behind
    form = struct.pack("<HHIIHHHH", 0x31, 1, 8000, 1625, 65, 0, 2, 320)
    return (
        b"RIFF" + struct.pack("<I", 40 + len(data)) + b"WAVEfmt \x14\0\0\0" + form
        + b"data" + struct.pack("<I", len(data)) + data
    )  # fmt: skip


def s302m(packets: int = 20) -> bytes:
    """SMPTE 302M in a transport stream: two channels of 16 bits, 40 ms a packet."""
    noise, ticks = random.Random(5), 3600  # of 90 kHz
    bssd = b"\x05\x04BSSD"  # the registration descriptor that says what it is
    stream = b"\x06\xe1\x01\xf0" + bytes([len(bssd)]) + bssd
    tables = _ts(0, _section(0, b"\0\1\xe1\0")) + _ts(
        0x100, _section(2, b"\xe1\x01\xf0\0" + stream)
    )
    sound = b""
    for number in range(packets):
        samples = noise.randbytes(1920 * 5)
        data = struct.pack(">HH", len(samples), 0) + samples
        clock = number * ticks
        stamp = struct.pack(
            ">BHH", 0x21 | clock >> 29 & 14, clock >> 14 & 0xFFFE | 1, clock << 1 & 0xFFFE | 1
        )
        pes = b"\0\0\1\xbd" + struct.pack(">H", len(data) + 8) + b"\x84\x80\x05" + stamp + data
        sound += _ts(0x101, pes, number * 52)
    return tables + sound


def _section(table: int, body: bytes) -> bytes:
    """A table of a transport stream, behind its pointer."""
    head = bytes([table]) + struct.pack(">H", 0xB000 | len(body) + 9) + b"\0\1\xc1\0\0"
    check = 0xFFFFFFFF
    for byte in head + body:
        check ^= byte << 24
        for _ in range(8):
            check = (check << 1 ^ (0x04C11DB7 if check >> 31 else 0)) & 0xFFFFFFFF
    return b"\0" + head + body + struct.pack(">I", check)


def _ts(pid: int, payload: bytes, count: int = 0) -> bytes:
    """Packets of a transport stream; a short one is filled up in its adaptation field."""
    packets = b""
    for place in range(0, len(payload), 184):
        part = payload[place : place + 184]
        free = 184 - len(part)
        field = b"" if not free else bytes([free - 1]) + (b"\0" + b"\xff" * (free - 2))[: free - 1]
        flags = (0x30 if free else 0x10) | (count + place // 184) % 16
        start = 0x4000 if place == 0 else 0
        packets += b"G" + struct.pack(">HB", start | pid, flags) + field + part
    return packets


def opposite(seconds: float = 4.0, opposite_from: float = 0.0) -> bytes:
    """A stereo wav whose second channel is upside down from a time on."""
    samples = tone(seconds, channels=2)
    samples[round(opposite_from * RATE) :, 1] *= -1
    return wav(samples.tobytes(), channels=2)


def _good() -> bytes:
    return wav(tone().tobytes())


def _declared(size: int) -> bytes:
    return wav(tone().tobytes(), declared=size)


SIBLING = "sibling.wav"  # what the playlists point at; the tests write it next to them
_FFCONCAT = f"ffconcat version 1.0\nfile '{SIBLING}'\n".encode()
_M3U8 = (
    f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n{SIBLING}\n#EXT-X-ENDLIST\n"
).encode()
_MOV_MP4 = partial(encoded, ".mp4", "aac")

CASES = (
    Case("zero bytes", lambda: b"", "unreadable_audio"),
    Case("text named wav", lambda: b"hello " * 500, "unreadable_audio", name="text.wav"),
    Case("the first bytes of Ogg alone", lambda: b"OggS", "unreadable_audio"),
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
    Case("30 hours declared, 4 seconds there",
         lambda: wav(bytes(32_000), rate=4000, declared=4000 * 2 * 3600 * 30), None, (), 4.0),
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
# Odd, and nothing is wrong with nearly all of them; not worth a process each.
ODD_CASES = (
    *(
        Case(f"wav with a placeholder of {size}", partial(_declared, size), None, (), 2.0)
        for size in (0, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF, 2_000_000_000)
    ),
    Case("mu-law with a placeholder", lambda: wav(b"\x23\xa3" * 8000, rate=8000, bits=8, tag=7,
         declared=2_000_000_000), None, (), 2.0),
    Case("AMR with pauses", lambda: amr((15, 0, 20), (0, 12, 50), (8, 5, 1), (15, 0, 79)), None,
         (), 3.0),
    Case("wide AMR with pauses", lambda: amr((0, 17, 50), (9, 5, 1), (15, 0, 49), wide=True), None,
         (), 2.0),
    Case("AMR with frames of no type", lambda: amr((0, 12, 50), (13, 0, 25), (0, 12, 50)), None,
         ("decode_errors",), 2.5),
    Case("joined mp3 files", lambda: encoded(".mp3", "libmp3lame") * 3, None, (), 12.0),
    Case("padded GSM", lambda: gsm_wav(50, b"\0"), None, (), 2.0),
    Case("opposite channels", opposite, None, ("opposite_channels",), 4.0),
    *(
        Case(f"sound after the picture in {suffix}", partial(encoded, suffix, codec, picture=True,
             start=2.0), None, (), 6.0)
        for suffix, codec in ((".mp4", "aac"), (".mkv", "libopus"), (".ts", "mp2"))
    ),
    Case("sound after the picture by a clock of 26 hours", partial(encoded, ".ts", "mp2",
         picture=True, start=2.0, output_ts_offset="93600"), None, (), 6.0),
    Case("sound alone by a late clock", partial(encoded, ".mkv", "libopus", start=90.0), None, (),
         4.0),
    Case("sound a day after the picture", partial(encoded, ".mkv", "libopus", picture=True,
         start=100_000.0), None, ("timestamp_gaps",), 4.0),
    Case("two tracks", partial(encoded, ".mkv", "flac", tracks=2), None,
         ("several_audio_streams",), 4.0),
    Case("Yamaha ADPCM", partial(encoded, ".wav", "adpcm_yamaha"), None, (), 4.0),
    Case("s302m", s302m, None, (), 0.8),
    Case("MXF", partial(encoded, ".mxf", "pcm_s16le", muxer="mxf_opatom"), None, (), 4.0),
)  # fmt: skip

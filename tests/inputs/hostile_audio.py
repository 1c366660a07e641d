"""More files of an attack: other formats under an audio's name, bombs, and containers that lie."""

from __future__ import annotations

import gzip
import io
import random
import struct
import tarfile
import zipfile
from functools import partial

from tests.inputs.bad_audio import Case, encoded, tone, wav


def _good() -> bytes:
    return wav(tone().tobytes())


def _tar() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        member = tarfile.TarInfo("audio.wav")
        member.size = len(_good())
        archive.addfile(member, io.BytesIO(_good()))
    return content.getvalue()


def _zip_bomb() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("audio.wav", bytes(20_000_000))
    return content.getvalue()


def _id3(frame: str, body: bytes, size: int | None = None) -> bytes:
    """A tag of version 2.3 with one frame; `size` may lie."""
    length = len(body) + 10 if size is None else size
    shown = bytes(length >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + shown + frame.encode() + struct.pack(">IH", len(body), 0) + body


def _mp3() -> bytes:
    return encoded(".mp3", "libmp3lame")


def _atom(name: str, body: bytes, size: int | None = None) -> bytes:
    return struct.pack(">I", len(body) + 8 if size is None else size) + name.encode() + body


def _nested(name: str, depth: int) -> bytes:
    """Each atom holds the next: made from the inside, in one pass."""
    total = 8 * depth
    return b"".join(struct.pack(">I", total - 8 * level) + name.encode() for level in range(depth))


FTYP = _atom("ftyp", b"isom\0\0\2\0isomiso2")


def _page(serial: int, number: int) -> bytes:
    """An empty page of Ogg, with a checksum that is wrong."""
    return b"OggS\0\0" + struct.pack("<QIII", 0, serial, number, 0) + b"\0"


def _riff_with(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(data)) + data for name, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


FORM = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
SOUND = tone().tobytes()
_PLAYLISTS = {
    "m3u8 of a local file": "#EXTM3U\n#EXTINF:2,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "m3u8 of the cloud's own address": "#EXTM3U\n#EXTINF:2,\nhttp://169.254.169.254/latest\n",
    "m3u8 with a key in a file": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="file:///etc/passwd"\n',
    "m3u8 of concat": "#EXTM3U\n#EXTINF:2,\nconcat:/etc/passwd|/etc/hosts\n#EXT-X-ENDLIST\n",
    "ffconcat of an absolute path": "ffconcat version 1.0\nfile '/etc/passwd'\n",
    "DASH": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>'
    "file:///etc/passwd</BaseURL></MPD>",
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
    "pls": "[playlist]\nFile1=/etc/passwd\n",
    "asx": '<asx><entry><ref href="file:///etc/passwd"/></entry></asx>',
    "XML with an entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    "RealText": "<window><ref src='file:///etc/passwd'></window>",
    "ffmetadata": ";FFMETADATA1\ntitle=x\n",
}
_OTHERS = {
    "a tar with a wav": _tar,
    "a zip bomb": _zip_bomb,
    "a gzip bomb": lambda: gzip.compress(bytes(20_000_000)),
    "gzip of a wav": lambda: gzip.compress(_good()),
    "PDF": lambda: b"%PDF-1.7\n" + bytes(2000),
    "SVG with a script": lambda: b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "ELF": lambda: b"\x7fELF\x02\x01\x01" + bytes(2000),
    "SQLite": lambda: b"SQLite format 3\0" + bytes(2000),
    "a pickle": lambda: b"\x80\x04cos\nsystem\n(S'id'\ntR.",
    "a shell's script": lambda: b"#!/bin/sh\nid > /tmp/x\n",
    "UTF-16": lambda: "audio".encode("utf-16") * 500,
    "line ends": lambda: b"\r\n" * 100_000,
    "a megabyte of zeros": lambda: bytes(1_000_000),
    "a megabyte of ones": lambda: b"\xff" * 1_000_000,
    "one byte": lambda: b"R",
    "RIFF alone": lambda: b"RIFF",
    "ID3 alone": lambda: b"ID3",
    "OggS alone": lambda: b"OggS",
    "fLaC alone": lambda: b"fLaC",
    "EBML alone": lambda: b"\x1aE\xdf\xa3",
    "EBML of unknown sizes": lambda: b"\x1aE\xdf\xa3\x01" + b"\xff" * 7 + b"\x18S\x80g\x01" * 9000,
    "moov in moov, 10,000 deep": lambda: FTYP + _nested("moov", 10_000),
    "100,000 free atoms": lambda: FTYP + _atom("free", b"") * 100_000,
    "an atom of no size": lambda: FTYP + _atom("moov", b"", 0),
    "an atom of 2**63 bytes": lambda: FTYP + struct.pack(">I4sQ", 1, b"moov", 1 << 63),
    "sample table of 2**32 entries": lambda: FTYP + _atom("moov", _atom("trak", _atom("mdia",
        _atom("minf", _atom("stbl", _atom("stts", struct.pack(">II", 0, 2**32 - 1))))))),
    "a wav of 16 exabytes (RF64)": lambda: b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0"
        + b"\xff" * 28 + b"data\xff\xff\xff\xff",
    "fmt of 2**32-1 bytes": lambda: b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff" + FORM,
    "AIFF at no rate": lambda: b"FORM\0\0\x10\0AIFFCOMM\0\0\0\x12\0\1\0\0\1\0\0\x10"
        + b"\x7f\xff" + b"\xff" * 8 + b"SSND\0\0\0\x08" + bytes(8),
    "an au whose sound is beyond its end": lambda: b".snd" + struct.pack(">IIIII", 2**31, 2**31, 3,
        16_000, 1),
    "CAF of 2**62 packets": lambda: b"caff\0\1\0\0pakt" + struct.pack(">QQQII", 24, 1 << 62, 1, 0,
        0),
    "AMR without a frame": lambda: b"#!AMR\n",
    "100,000 empty pages of Ogg": lambda: b"".join(_page(1, n) for n in range(100_000)),
    "10,000 streams of Ogg": lambda: b"".join(_page(n, 0) for n in range(10_000)),
}  # fmt: skip

_CODES = {  # of the others; the rest are unreadable
    "an atom of no size": "no_audio_stream",
    "an atom of 2**63 bytes": "no_audio_stream",
    "sample table of 2**32 entries": "audio_out_of_bounds",
    "AMR without a frame": "no_audio_samples",
}
HOSTILE_CASES = (
    *(
        Case(label, partial(text.encode, "utf-8"), "unreadable_audio", name="talk.mp3")
        for label, text in _PLAYLISTS.items()
    ),
    *(
        Case(label, content, _CODES.get(label, "unreadable_audio"), name="talk.wav")
        for label, content in _OTHERS.items()
    ),
    Case("mp3 behind a page of HTML", lambda: b"<script>alert(1)</script>" + _mp3(), None),
    Case("mp3 behind a tag of 2 MB", lambda: _id3("PRIV", bytes(2_000_000)) + _mp3(), None, (),
         4.0),
    Case("mp3 behind 500 tags", lambda: _id3("TIT2", b"\0x") * 500 + _mp3(), None, (), 4.0),
    Case("mp3 whose tag claims 256 MB", lambda: _id3("TIT2", b"\0x", 0xFFFFFFF) + _mp3(),
         "unreadable_audio"),
    Case("mp3 with control characters in UTF-16", lambda: _id3(
        "TIT2", b"\1" + "\u202e\x07\x1b[31m</script>".encode("utf-16")) + _mp3(), None, (), 4.0),
    Case("mp3 with a false picture", lambda: _id3(
        "APIC", b"\0image/png\0\3\0" + random.Random(2).randbytes(5000)) + _mp3(), None),
    Case("wav with 20,000 lists", lambda: _riff_with((b"fmt ", FORM),
         *[(b"LIST", b"INFO")] * 20_000, (b"data", SOUND)), None, (), 2.0),
    Case("wav with its sound before its format", lambda: _riff_with((b"data", SOUND),
         (b"fmt ", FORM)), None),
    Case("wav with two formats", lambda: _riff_with((b"fmt ", FORM),
         (b"fmt ", FORM[:2] + b"\xff" * 14), (b"data", SOUND)), None),
    Case("sound of eight channels at 192 kHz", lambda: wav(tone(2.0, 192_000, 8).tobytes(),
         rate=192_000, channels=8), None, (), 2.0),
    Case("live webm without its length", partial(encoded, ".webm", "libopus", live="1"), None, (),
         4.0),
    Case("fragments of mp4", partial(encoded, ".mp4", "aac",
         movflags="+frag_keyframe+empty_moov"), None, (), 4.0),
    Case("AC-3", partial(encoded, ".ac3", "ac3"), None, (), 4.0),
    Case("AIFF", partial(encoded, ".aiff", "pcm_s16be"), None, (), 4.0),
    Case("AAC without a container", partial(encoded, ".aac", "aac"), None),
)  # fmt: skip

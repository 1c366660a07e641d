"""What FFmpeg, and with it many players, makes of a file of SRT."""

from __future__ import annotations

import io

import av


def ffmpeg_shows(srt: str) -> list[str]:
    """The text of each cue that FFmpeg finds, in ASS; every style would be in braces."""
    with av.open(io.BytesIO(srt.encode()), format="srt") as file:
        found = [rect.ass for packet in file.demux() for rect in packet.decode()]
    return [ass.decode().split(",", 8)[8].replace("\\N", "\n") for ass in found]

"""What FFmpeg, and with it many players, makes of a file of SRT."""

from __future__ import annotations

import io

import av
from av.subtitles.subtitle import AssSubtitle


def ffmpeg_shows(srt: str) -> list[str]:
    """The text of each cue that FFmpeg finds, in ASS; every style would be in braces."""
    with av.open(io.BytesIO(srt.encode()), mode="r", format="srt") as file:
        found = [cue for packet in file.demux() for cue in packet.decode()]
    lines = [cue.ass.decode() for cue in found if isinstance(cue, AssSubtitle)]
    assert len(lines) == len(found)
    return [line.split(",", 8)[8].replace("\\N", "\n") for line in lines]

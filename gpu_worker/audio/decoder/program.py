"""The child that decodes: `python -m gpu_worker.audio.decoder.program`.

One request as JSON on stdin, one line of JSON on stdout: `{"audio": …}` or
`{"error": {"code", "message"}}`. The request names open file descriptors, `media` to
read and `pcms` to write (one, or with `split` one for each channel there may be); no
path ever reaches this process. Everything is loaded first, then the process gives up all but
those descriptors (`sandbox.py`), and only then does it read the file. Memory does not grow with
the length of the file. Frames are written one after the other; time stamps matter only where they
leave a gap, also at the beginning, which becomes silence.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from dataclasses import asdict
from typing import Any

import av
import av.subtitles.codeccontext  # PyAV loads both when it meets subtitles
import av.subtitles.stream

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.audio.decoder.arrays import NEEDS_NUMPY, NumpyNotLoaded, load_numpy
from gpu_worker.audio.decoder.damage import Damage
from gpu_worker.audio.decoder.declared import declared_length
from gpu_worker.audio.decoder.media import audio_stream, open_media, track_warnings
from gpu_worker.audio.decoder.mixing import Mixer
from gpu_worker.audio.decoder.packets import Packets
from gpu_worker.audio.decoder.sandbox import (
    allow_cpu_seconds,
    confine,
    die_with_parent,
    seal,
)
from gpu_worker.audio.decoder.sink import EnoughAudio, Output, Sink, check_length
from gpu_worker.audio.decoder.soundless import Soundless, SoundlessPackets
from gpu_worker.errors import (
    AudioOutOfBounds,
    DiskFull,
    NoAudioSamples,
    ScriptoriumError,
    UnreadableAudio,
)
from gpu_worker.pcm import SAMPLE_BYTES, SAMPLE_RATE

_BYTES_PER_SECOND = SAMPLE_RATE * SAMPLE_BYTES
# What FFmpeg, Python and the system raise for a file; some of FFmpeg's errors are none of the rest.
EXPLAINED = (
    av.FFmpegError, OSError, ValueError, ArithmeticError, MemoryError, RuntimeError,
)  # fmt: skip
_LONGEST_MESSAGE = 1000  # characters, that a report may have
_PATCH_SECONDS = 1.0  # silence for one broken packet, at most; real packets hold less


def main() -> None:
    """Read a request, decode, print a report. The exit status is 0 if there is a report."""
    request = json.load(sys.stdin)
    die_with_parent(request["parent"])
    limits = AudioLimits(**request["limits"])
    hours = limits.max_seconds / 3600
    if request.get("numpy"):
        load_numpy()
    confine(
        limits.memory_bytes,
        min(int((limits.max_seconds + 60) * _BYTES_PER_SECOND), limits.max_output_bytes),
        limits.cpu_seconds + hours * limits.cpu_seconds_per_audio_hour,
    )
    seal()
    try:
        mixer = Mixer(request.get("channel"), limits, split=request.get("split", False))
        sink = Sink(mixer, [Output(pcm) for pcm in request["pcms"]], limits)
        sink.first_seconds = request.get("first_seconds")
        report: dict[str, Any] = {
            "audio": _decode(request["media"], sink, limits, request.get("track"))
        }
    except ScriptoriumError as error:
        report = _failure(error)
    except NumpyNotLoaded:
        report = {"error": {"code": NEEDS_NUMPY, "message": "Start it with numpy."}}
    except EXPLAINED as error:
        report = _failure(_explained(error, limits))
    print(json.dumps(report), flush=True)


def _failure(error: ScriptoriumError) -> dict[str, Any]:
    return {"error": {"code": error.code, "message": error.message[:_LONGEST_MESSAGE]}}


def _decode(media: int, sink: Sink, limits: AudioLimits, track: int | None) -> dict[str, Any]:
    """Decode into the sink; return what `gpu_worker/audio/report.py` reads as `audio`."""
    allow_cpu_seconds(limits.cpu_seconds)
    with open_media(media) as container:
        stream = audio_stream(container, limits, track)
        packets, damage = Packets(container, stream), Damage()
        late = packets.late
        if late > limits.max_seconds:  # no presentation is so long: the clock is wrong
            damage.late_seconds, late = late, 0.0
        start = packets.start + damage.late_seconds
        declared = declared_length(container, stream, media, start=start, late=late)
        if declared is not None and declared.is_there and sink.first_seconds is None:
            outputs = stream.codec_context.layout.nb_channels if sink.mixer.split else 1
            check_length(declared.seconds, max(1, outputs), limits)
        promised = None if declared is None or declared.seconds < 0 else declared.seconds
        sink.lead_seconds = late
        try:
            _stream(packets, stream, sink, damage)
        except EnoughAudio:
            sink.flush()
            promised = None  # the rest is not missed
        warnings = damage.warnings(sink.seconds, promised)
        return {
            "samples": sink.samples,
            "outputs": sink.mixer.outputs,
            "source_sample_rate": sink.mixer.source[0],
            "channels": sink.mixer.source[1],
            "codec": stream.codec_context.name,
            "container": container.format.name,
            "declared_seconds": promised,
            "warnings": [
                asdict(warning)
                for warning in (*warnings, *track_warnings(container, stream, track))
            ],
        }


def _stream(packets: Packets, stream: Any, sink: Sink, damage: Damage) -> None:
    """Pass all packets through the decoder and the mixer into the sink.

    Raises UnreadableAudio or NoAudioSamples if no sample comes out.
    """
    soundless, failed = SoundlessPackets(stream.codec_context.name), False
    for packet, is_last in packets:
        frames = _frames(stream, packet)
        data = b"" if packet is None else bytes(packet)
        kind = soundless.kind(data, failed=frames is None, last=is_last)
        if frames is None and packet is not None:
            seconds = min(float((packet.duration or 0) * (packet.time_base or 0)), _PATCH_SECONDS)
            if kind is Soundless.PAUSE:
                damage.add_pause(*sink.write_silence(seconds))
            elif kind is None:
                failed = True
                if sink.samples:  # junk before the first sound is no damage
                    damage.add_broken(*sink.write_silence(seconds))
        for frame in frames or ():
            _write(frame, sink, damage)
    damage.cut = packets.cut
    for pcm in sink.mixer.flush():
        sink.write(pcm)
    sink.flush()
    if sink.samples == 0:
        raise UnreadableAudio("Nothing in it can be decoded.") if failed else NoAudioSamples()


def _frames(stream: Any, packet: Any) -> list[Any] | None:
    """Decode a packet; return its frames, or None if it cannot be decoded. Raises MemoryError."""
    try:
        frames: list[Any] = stream.codec_context.decode(packet)
    except av.FFmpegError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError from error
        return None
    return frames


def _write(frame: Any, sink: Sink, damage: Damage) -> None:
    """Write one frame, and silence before it if the file's clock leaves a gap there."""
    seconds = frame.samples / frame.sample_rate
    if frame.pts is not None and frame.time_base is not None:
        gap = damage.gap_before(float(frame.pts * frame.time_base), seconds)
        if gap:
            damage.add_gap(*sink.write_silence(gap))
    start = sink.seconds
    for pcm in sink.mixer.convert(frame):
        sink.write(pcm)
    if sink.mixer.is_turned:
        damage.add_opposite(start, start + seconds)


def _explained(error: Exception, limits: AudioLimits) -> ScriptoriumError:
    """Return the error of `errors.py` for an exception of FFmpeg, of Python or of the system."""
    number = getattr(error, "errno", None)
    reason = getattr(error, "strerror", None) or error
    if number in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull("There is no space left for the decoded audio.")
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return AudioOutOfBounds(f"Reading it takes more than {limits.memory_bytes >> 20} MB.")
    if number == errno.EFBIG:
        return AudioOutOfBounds("The audio is longer than is accepted.")
    return UnreadableAudio(f"It cannot be read as audio ({reason}).")


if __name__ == "__main__":
    main()
    os._exit(0)  # there is nothing to put away, and Python takes time for it

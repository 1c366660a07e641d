"""The child that decodes: `python -m gpu_worker.decoder`.

One request as JSON on stdin, one line of JSON on stdout: `{"audio": …}` or
`{"error": {"code", "message"}}`. The request names open file descriptors, `media` to
read and `pcms` to write (one, or with `split` one for each channel there may be); no
path ever reaches this process. Memory does not grow with the length of the file. Frames
are written one after the other; time stamps matter only where they leave a gap, which
becomes silence.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import av

from gpu_worker.audio import AudioLimits, DecodedAudio
from gpu_worker.damage import Damage
from gpu_worker.errors import (
    AudioOutOfBounds,
    DiskFull,
    NoAudioSamples,
    ScriptoriumError,
    UnreadableAudio,
)
from gpu_worker.media import audio_stream, declared_seconds, open_media
from gpu_worker.mixing import Mixer
from gpu_worker.sandbox import allow_cpu_seconds, confine, die_with_parent
from gpu_worker.transcript import SAMPLE_RATE, Notice

_BYTES_PER_SECOND = SAMPLE_RATE * 2
_WRITE_BYTES = 1 << 20
_ALLOWANCE_SAMPLES = 60 * SAMPLE_RATE  # processor time is granted anew after each of these
_PATCH_SECONDS = 1.0  # silence for one broken packet, at most; real packets hold less


@dataclass(slots=True)
class _Output:
    """Hashes and writes one file of PCM."""

    pcm: int
    digest: Any = field(default_factory=hashlib.sha256)
    pending: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        self.pending += data
        if len(self.pending) >= _WRITE_BYTES:
            self.flush()

    def flush(self) -> None:
        self.digest.update(self.pending)
        view = memoryview(self.pending)
        while view:
            view = view[os.write(self.pcm, view) :]
        self.pending = bytearray()


@dataclass(slots=True)
class _Sink:
    """Counts samples, stops at the bounds, and gives each output its own."""

    mixer: Mixer
    files: list[_Output]  # as many as the mixer may have outputs
    limits: AudioLimits
    samples: int = 0
    granted: int = 0  # samples up to which processor time was granted

    @property
    def seconds(self) -> float:
        return self.samples / SAMPLE_RATE

    @property
    def outputs(self) -> list[_Output]:
        """Those that are written to."""
        return self.files[: self.mixer.outputs]

    def write(self, data: bytes) -> None:
        """Samples of all outputs, interleaved."""
        count = self.mixer.outputs
        if count == 1:
            self._write([data])
        else:
            samples = memoryview(data).cast("h")
            self._write([samples[output::count].tobytes() for output in range(count)])

    def write_silence(self, seconds: float) -> tuple[float, float]:
        """The span that it fills: times after it stay those of the file's own clock."""
        start = self.seconds
        self._write([bytes(round(seconds * SAMPLE_RATE) * 2)] * self.mixer.outputs)
        return start, self.seconds

    def flush(self) -> None:
        for output in self.outputs:
            output.flush()

    def _write(self, parts: list[bytes]) -> None:
        self.samples += len(parts[0]) // 2
        if self.seconds > self.limits.max_seconds:
            raise _too_long(self.limits)
        for output, part in zip(self.outputs, parts, strict=True):
            output.write(part)
        if self.samples >= self.granted:
            self.granted = self.samples + _ALLOWANCE_SAMPLES
            hours = self.granted / SAMPLE_RATE / 3600
            earned = hours * self.limits.cpu_seconds_per_audio_hour
            allow_cpu_seconds(self.limits.cpu_seconds + earned)


def main() -> None:
    """Read a request, decode, report. Exit status 0 whenever there is a report."""
    request = json.load(sys.stdin)
    die_with_parent(request["parent"])
    limits = AudioLimits(**request["limits"])
    hours = limits.max_seconds / 3600
    confine(
        limits.memory_bytes,
        int((limits.max_seconds + 60) * _BYTES_PER_SECOND),
        limits.cpu_seconds + hours * limits.cpu_seconds_per_audio_hour,
    )
    try:
        mixer = Mixer(request.get("channel"), limits, split=request.get("split", False))
        sink = _Sink(mixer, [_Output(pcm) for pcm in request["pcms"]], limits)
        audio = _decode(request["media"], sink, limits)
        report: dict[str, Any] = {"audio": audio.to_json()}
    except ScriptoriumError as error:
        report = {"error": {"code": error.code, "message": error.message}}
    except (OSError, ValueError, ArithmeticError, MemoryError, RuntimeError) as error:
        known = _explained(error, limits)
        report = {"error": {"code": known.code, "message": known.message}}
    print(json.dumps(report), flush=True)


def _decode(media: int, sink: _Sink, limits: AudioLimits) -> DecodedAudio:
    allow_cpu_seconds(limits.cpu_seconds)
    with open_media(media) as container:
        stream = audio_stream(container, limits)
        declared = declared_seconds(container, stream, media)
        if declared is not None and declared > limits.max_seconds:
            raise _too_long(limits)
        mixer, damage = sink.mixer, Damage()
        _stream(container, stream, mixer, sink, damage)
        checksums = tuple(output.digest.hexdigest() for output in sink.outputs)
        warnings = list(damage.notices(sink.seconds, declared))
        if len(container.streams.audio) > 1:
            count = len(container.streams.audio)
            warnings.append(
                Notice("several_audio_streams", f"Of {count} audio streams the first was used.")
            )
        return DecodedAudio(
            samples=sink.samples,
            sha256=checksums[0],
            source_sample_rate=mixer.source[0],
            channels=mixer.source[1],
            codec=stream.codec_context.name,
            container=container.format.name,
            declared_seconds=declared,
            warnings=tuple(warnings),
            split=checksums if mixer.split else (),
        )


def _stream(container: Any, stream: Any, mixer: Mixer, sink: _Sink, damage: Damage) -> None:
    """All packets through the decoder and the mixer into the sink."""
    failed = False
    for packet in _packets(container, stream, damage):
        try:
            frames = stream.codec_context.decode(packet)
        except av.FFmpegError as error:
            if error.errno == errno.ENOMEM:
                raise MemoryError from error
            failed = True
            if packet is not None and sink.samples:  # junk before the first sound is no damage
                seconds = float((packet.duration or 0) * (packet.time_base or 0))
                damage.add_broken(*sink.write_silence(min(seconds, _PATCH_SECONDS)))
            continue
        for frame in frames:
            if frame.pts is not None and frame.time_base is not None:
                seconds = frame.samples / frame.sample_rate
                gap = damage.gap_before(float(frame.pts * frame.time_base), seconds)
                if gap:
                    damage.add_gap(*sink.write_silence(gap))
            for data in mixer.convert(frame):
                sink.write(data)
    for data in mixer.flush():
        sink.write(data)
    sink.flush()
    if sink.samples == 0:
        raise UnreadableAudio("Nothing in it can be decoded.") if failed else NoAudioSamples()


def _packets(container: Any, stream: Any, damage: Damage) -> Iterator[Any]:
    """Packets to the end of the file or to where it cannot be read on, and one to flush."""
    try:
        yield from container.demux(stream)
    except av.FFmpegError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError from error
        damage.cut = True
        yield None


def _too_long(limits: AudioLimits) -> AudioOutOfBounds:
    hours = limits.max_seconds / 3600
    return AudioOutOfBounds(f"The audio is longer than {hours:g} hours.")


def _explained(error: Exception, limits: AudioLimits) -> ScriptoriumError:
    """What an exception of FFmpeg, of Python or of the system means for the file."""
    number = getattr(error, "errno", None)
    reason = getattr(error, "strerror", None) or error
    if number in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull("There is no space left for the decoded audio.")
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return AudioOutOfBounds(f"Reading it takes more than {limits.memory_bytes >> 20} MB.")
    if number == errno.EFBIG:
        return _too_long(limits)
    return UnreadableAudio(f"It cannot be read as audio ({reason}).")


if __name__ == "__main__":
    main()

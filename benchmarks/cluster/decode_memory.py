"""Decode and plan a very long file; print the peak memory of both processes and the speed.

    python benchmarks/cluster/decode_memory.py [--hours 10] [--codec flac|libopus] [--directory DIR]

The file is made first (phrases of noise with pauses, or silence), a minute at a time. The PCM
takes 115 MB an hour in the directory and is removed at the end. Exit status 1 if either
process held 500 MB or more.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from gpu_worker.audio.chunking import plan_chunks
from gpu_worker.audio.decoding import decode
from gpu_worker.audio.vad import speech_likelihood
from gpu_worker.pcm import SAMPLE_RATE

_BOUND_MB = 500
_SUFFIXES = {"flac": ".flac", "libopus": ".ogg", "aac": ".m4a", "libmp3lame": ".mp3"}


def _minute(silent: bool) -> np.ndarray:
    """One minute of speech-like noise: a second and a half of sound, half a second of none."""
    samples = np.zeros(60 * SAMPLE_RATE, dtype=np.int16)
    if not silent:
        rng = np.random.default_rng(0)
        for begin in range(0, len(samples), 2 * SAMPLE_RATE):
            end = begin + 3 * SAMPLE_RATE // 2
            samples[begin:end] = rng.normal(0, 2000, end - begin).astype(np.int16)
    return samples


def write_file(path: Path, codec: str, hours: float, silent: bool) -> None:
    minute = _minute(silent)
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=SAMPLE_RATE, layout="mono")
        assert isinstance(stream, av.AudioStream)
        context = stream.codec_context
        context.open()
        resampler = av.AudioResampler(context.format.name, "mono", SAMPLE_RATE, context.frame_size)
        for index in range(round(hours * 60)):
            frame = av.AudioFrame.from_ndarray(minute[None], format="s16", layout="mono")
            frame.sample_rate, frame.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
            frame.pts = index * len(minute)
            for converted in resampler.resample(frame):
                out.mux(stream.encode(converted))
        for converted in resampler.resample(None):
            out.mux(stream.encode(converted))
        out.mux(stream.encode(None))


def _peak_mb(who: int) -> float:
    peak = resource.getrusage(who).ru_maxrss
    return peak / 1024 if sys.platform == "linux" else peak / 1024**2


def main() -> int:
    """Print the figures as a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--codec", choices=sorted(_SUFFIXES), default="flac")
    parser.add_argument("--silent", action="store_true", help="10 hours are then 7 MB of flac")
    parser.add_argument("--directory", type=Path, default=None, help="default: the system's")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name:
        source = Path(name) / f"source{_SUFFIXES[arguments.codec]}"
        write_file(source, arguments.codec, arguments.hours, arguments.silent)
        written_mb = _peak_mb(resource.RUSAGE_SELF)
        begin = time.perf_counter()
        audio = decode(source, Path(name) / "pcm")
        decoded = time.perf_counter()
        pcm = np.memmap(Path(name) / "pcm", dtype="<i2", mode="r")
        chunks = plan_chunks(pcm, detector=speech_likelihood)
        planned = time.perf_counter()
        source_mb = source.stat().st_size / 1e6
    child_mb = _peak_mb(resource.RUSAGE_CHILDREN)
    parent_mb = _peak_mb(resource.RUSAGE_SELF)
    print(f"file          {audio.seconds / 3600:.2f} h {audio.codec}, {source_mb:.1f} MB")
    print(f"decode        {decoded - begin:.1f} s, {audio.seconds / (decoded - begin):.0f} x")
    print(f"plan          {planned - decoded:.2f} s, {len(chunks)} chunks")
    print(f"peak, decoder {child_mb:.0f} MB resident")
    print(f"peak, caller  {parent_mb:.0f} MB resident ({written_mb:.0f} MB from making the file)")
    return 0 if max(child_mb, parent_mb) < _BOUND_MB else 1


if __name__ == "__main__":
    sys.exit(main())

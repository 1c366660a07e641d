"""A job's audio as one WAV file, of which any part can be read.

The decoded samples are artifacts without a header, one for each channel if they are split.
The header is computed from their length, and only the bytes that are asked for are read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from gpu_worker.errors import PermanentError
from gpu_worker.pcm import SAMPLE_BYTES, SAMPLE_RATE
from orchestrator.cluster.connection import Cluster, NotFinished
from tasks.artifacts import ArtifactStore
from tasks.runs import keys

HEADER_BYTES = 44
_MOST = 0xFFFF_FFFF  # the largest size that a WAV header can hold


class AudioMissing(PermanentError):
    """The job's audio is no longer in the store."""

    code = "audio_missing"
    hint = "Submit the file again."


@dataclass(frozen=True, slots=True)
class Recording:
    """The samples in the store, presented as one WAV file."""

    keys: tuple[str, ...]  # of the PCM artifacts, one for each channel
    samples: int

    @property
    def frame_bytes(self) -> int:
        """The bytes of one sample of all channels."""
        return SAMPLE_BYTES * len(self.keys)

    @property
    def size(self) -> int:
        """The size of the WAV file in bytes."""
        return HEADER_BYTES + self.samples * self.frame_bytes

    def header(self) -> bytes:
        """Return the WAV header: the first 44 bytes of the file."""
        data, channels = self.samples * self.frame_bytes, len(self.keys)
        riff = struct.pack("<4sI4s", b"RIFF", min(data + HEADER_BYTES - 8, _MOST), b"WAVE")
        form = struct.pack(
            "<4sIHHIIHH",
            *(b"fmt ", 16, 1, channels, SAMPLE_RATE, SAMPLE_RATE * self.frame_bytes),
            *(self.frame_bytes, SAMPLE_BYTES * 8),
        )
        return riff + form + struct.pack("<4sI", b"data", min(data, _MOST))

    def read(self, store: ArtifactStore, start: int, end: int) -> bytes:
        """Return the file's bytes from `start` to before `end`. Raises ArtifactMissing."""
        head = self.header()[start:end]
        first, last = max(start - HEADER_BYTES, 0), end - HEADER_BYTES
        if last <= first:
            return head
        frame, behind = first // self.frame_bytes, -(-last // self.frame_bytes)
        at, length = frame * SAMPLE_BYTES, (behind - frame) * SAMPLE_BYTES
        parts = {key: store.get(key, at, length) for key in self.keys}
        if len(self.keys) == 1:
            data = parts[self.keys[0]]
        else:
            columns = [np.frombuffer(parts[key], "<i2") for key in self.keys]
            data = np.stack(columns, axis=1).tobytes()
        skipped = first - frame * self.frame_bytes
        return head + data[skipped : skipped + last - first]


def open_recording(cluster: Cluster, tenant: str, job: str) -> Recording:
    """Return a job's audio. Raises UnknownJob, NotFinished before it is decoded, AudioMissing."""
    cluster.job(tenant, job)
    plan = cluster.plan(tenant, job)
    if plan is None:
        raise NotFinished(f"The audio of job {job} has not been decoded.")
    channels = tuple(keys.pcm(tenant, audio) for audio in plan.channels or (plan.audio,))
    sizes = [cluster.store.size(key) for key in channels]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        raise AudioMissing()
    return Recording(channels, min(known) // SAMPLE_BYTES)

"""A file through a diarizer as the cluster does it: shard by shard, each stored between."""

from __future__ import annotations

from gpu_worker.audio.samples import Audio
from gpu_worker.diarization import Diarizer, ShardVoices
from gpu_worker.diarization.grid import shard_count


def embed_in_shards(diarizer: Diarizer, audio: Audio, shard_seconds: float) -> list[ShardVoices]:
    """All shards of a file, in order."""
    shards = []
    for index in range(shard_count(len(audio), shard_seconds)):
        windows = diarizer.grid.windows_of_shard(index, len(audio), shard_seconds)
        held = diarizer.grid.samples_of(windows, len(audio))
        voices = diarizer.embed(audio[held.start : held.stop], windows)
        shards.append(ShardVoices.from_bytes(voices.to_bytes()))
    return shards

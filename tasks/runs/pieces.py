"""How many chunks and shards a file may be cut into: it follows from its length. Pure.

Without the bound one long file with the shortest chunks and shards would be a hundred thousand
units, each with its messages, objects and receipts.
"""

from __future__ import annotations

import math

from gpu_worker.errors import InvalidOption
from tasks.runs.options import JobOptions

ANY_SECONDS = 3600.0  # audio up to here may have pieces of any length that the options allow
SHORTEST_SECONDS = 10.0  # of a chunk or shard of longer audio
_HINT = "Give a larger {name}, or leave it out."


def check_pieces(options: JobOptions, seconds: float, audios: int, most: int) -> None:
    """Raise InvalidOption if the audio would have too many chunks or shards.

    `audios`: channels that are kept apart and differ, else 1; `most`: the cluster's limit.
    """
    chunks = math.ceil(seconds / options.chunk_seconds) * audios
    shards = math.ceil(seconds / options.shard_seconds) if options.diarizes else 0
    for name, pieces, count in (
        ("chunk_seconds", "chunks", chunks),
        ("shard_seconds", "shards", shards),
    ):
        value, hint = getattr(options, name), _HINT.format(name=name)
        if count > most:
            raise InvalidOption(
                f"With {name}={value:g} the audio has {count} {pieces}; at most {most} are "
                "accepted.",
                hint=hint,
            )
        if count and seconds > ANY_SECONDS and value < SHORTEST_SECONDS:
            raise InvalidOption(
                f"The audio has {seconds:.0f} s, and with {name}={value:g} {count} {pieces}; from "
                f"an hour on {name} is at least {SHORTEST_SECONDS:g}.",
                hint=hint,
            )

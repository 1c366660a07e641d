"""Time the tokens of a text by what they attended to while it was written."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpu_worker.transcription.engines.torch_whisper.attention import attention_matrix
from gpu_worker.transcription.engines.torch_whisper.decoder_cache import Cache
from gpu_worker.transcription.engines.torch_whisper.warping import cheapest_path
from gpu_worker.transcription.engines.torch_whisper.writing import Written
from gpu_worker.transcription.engines.word_times import (
    FRAMES_PER_SECOND,
    TokenTimes,
    token_times,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands on its page."""

    slot: int
    row: int  # of the cache, that holds the slot's item now
    start: int  # the position of `<|startoftranscript|>`
    last: int  # the position of the prompt's last token, behind which the text begins


def time_tokens(
    cache: Cache, place: Place, written: Written, end: int, seconds: float, offset: float
) -> TokenTimes:
    """Return the times of a text's tokens, those below `end`, in a window of this length.

    `offset` is in seconds, and is added to all of them.
    """
    frames = min(math.ceil(seconds) * FRAMES_PER_SECOND, cache.layers[0].cross_keys.shape[2])
    length = len(written.tokens)
    positions = slice(place.start, place.last + length + 1)
    matrix = attention_matrix(cache, place.slot, place.row, positions, frames)
    own = [index for index, token in enumerate(written.tokens) if token < end]
    before = place.last - place.start
    path = cheapest_path(-matrix[[before + index for index in (*own, length)]])
    chances = [written.probabilities[index] for index in own]
    return token_times(path, chances, seconds, offset)

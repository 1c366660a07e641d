"""Time the words of texts by the cross-attention of a CTranslate2 model.

The method is openai/whisper's (timing.py): dynamic time warping over the attention of some heads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Word
from gpu_worker.transcription.engines.attempts import Attempt
from gpu_worker.transcription.engines.encoding import encodings_of
from gpu_worker.transcription.engines.word_edges import fit_to_sound
from gpu_worker.transcription.engines.word_times import time_words, token_times


class CrossAttention:
    """The times of one model's words."""

    def __init__(self, model: WhisperModel, offset: float) -> None:
        """Find times with `model`; `offset` seconds are added to them, as its heads are early."""
        self._model = model
        self._offset = offset

    def words(
        self,
        encoded: ctranslate2.StorageView,
        attempts: Sequence[Attempt],
        audios: Sequence[Audio],
        tokenizer: Tokenizer,
    ) -> list[tuple[Word, ...]]:
        """Return the words of each attempt, with seconds from its window's start.

        `encoded` holds the encodings of all windows; `audios` their sound, each of shape
        (samples,). Raises what CTranslate2 raises.
        """
        seconds = [len(audio) / SAMPLE_RATE for audio in audios]
        aligned = self._align(encoded, attempts, seconds, tokenizer)
        return [
            fit_to_sound(
                time_words(
                    tokenizer,
                    attempt.tokens,
                    attempt.text.text,
                    token_times(_path(result), result.text_token_probs, length, self._offset),
                    length,
                ),
                audio,
            )
            if result.alignments and attempt.tokens
            else ()
            for attempt, result, length, audio in zip(
                attempts, aligned, seconds, audios, strict=True
            )
        ]

    def _align(
        self,
        encoded: ctranslate2.StorageView,
        attempts: Sequence[Attempt],
        seconds: Sequence[float],
        tokenizer: Tokenizer,
    ) -> list[Any]:
        """Find the frames of each text's tokens; on a CPU window by window.

        That is quicker there, and in a batch the rounding depends on the texts beside it: now and
        then a word begins or ends a frame of 20 ms sooner or later.
        """
        size = 1 if self._model.model.device == "cpu" else len(attempts)
        found: list[Any] = []
        for first in range(0, len(attempts), size):
            group = range(first, min(first + size, len(attempts)))
            found += self._model.model.align(
                encodings_of(encoded, group),
                tokenizer.sot_sequence,
                [list(attempts[index].tokens) for index in group],
                [math.ceil(seconds[index]) * self._model.frames_per_second for index in group],
            )
        return found


def _path(aligned: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    rows, frames = np.asarray(aligned.alignments).T
    return rows, frames

"""An independent judge of word times: pocketsphinx' forced aligner.

Its US English model is part of the package; install it with `pip install pocketsphinx`. Times
are in steps of 10 ms. The same aligner made the reference times of the `austen` recordings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from pocketsphinx import Decoder, set_loglevel

from benchmarks.accuracy.recordings import Recording, samples
from gpu_worker.accuracy.references import without_silences
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Word

ALIGNED = ("jfk",)  # recordings of which every word is in the dictionary
_FRAMES_PER_SECOND = 100
_EDGE = ".,:;!?'\""


class HmmAligner:
    """One acoustic model with its dictionary."""

    def __init__(self, pronunciations: Mapping[str, str]) -> None:
        """`pronunciations` are of words that the dictionary lacks, in ARPAbet."""
        set_loglevel("FATAL")
        self._decoder = Decoder(samprate=SAMPLE_RATE, bestpath=False)
        for word, phones in pronunciations.items():
            self._decoder.add_word(word, phones, True)

    def align(self, audio: npt.NDArray[np.float32], text: str) -> tuple[Word, ...]:
        """Times of the words of `text`, which says all that is heard in `audio`.

        Raises KeyError for words without a pronunciation, ValueError where the text does
        not fit the audio.
        """
        words = spoken_words(text)
        unknown = [word for word in words if self._decoder.lookup_word(word) is None]
        if unknown:
            raise KeyError(f"The dictionary lacks {unknown}; give their pronunciations.")
        pcm = (np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes()
        self._decoder.set_align_text(" ".join(words))
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        if self._decoder.hyp() is None:
            raise ValueError("The text could not be aligned with the audio.")
        found = without_silences(
            (
                part.word,
                part.start_frame / _FRAMES_PER_SECOND,
                (part.end_frame + 1) / _FRAMES_PER_SECOND,
            )
            for part in self._decoder.seg()
        )
        if len(found) != len(words):
            raise ValueError(f"{len(found)} of {len(words)} words were aligned.")
        return found


def timed(known: Iterable[Recording]) -> list[Recording]:
    """Those whose words have times, and those of ALIGNED with the times that the aligner gives."""
    judge = HmmAligner({})
    return [
        replace(recording, words=judge.align(samples(recording.path), recording.text))
        if recording.name in ALIGNED
        else recording
        for recording in known
        if recording.words or recording.name in ALIGNED
    ]


def spoken_words(text: str) -> Sequence[str]:
    """Lower-case words without punctuation at their edges; hyphens part words."""
    plain = re.sub(r"[-–—]", " ", text.lower().replace("’", "'"))
    return [word for part in plain.split() if (word := part.strip(_EDGE))]

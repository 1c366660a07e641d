"""Part `text`: the text of our engine and of faster-whisper's pipeline on the same windows.

Our speech detector cuts the windows. Both decode them with the beams that are ours by default, at
temperature 0, without timestamp tokens, in the same batches and up to the same length; the texts
must be the same to the character.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from benchmarks.accuracy.models import WhisperFiles
from benchmarks.accuracy.peers import COMPUTE_TYPE, whisper_model
from benchmarks.accuracy.recordings import Recording, samples
from gpu_worker.audio.samples import Audio
from gpu_worker.audio.vad import speech_spans
from gpu_worker.models.capabilities import usual_beam_size
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest
from gpu_worker.transcription.engines.faster_whisper import load
from gpu_worker.transcription.engines.features import log_mel
from gpu_worker.transcription.windows import pack_windows

BATCH_SIZE = 8


def same_windows_report(files: WhisperFiles, chosen: Iterable[Recording]) -> dict[str, Any]:
    """Characters that differ, by recording; they are counted as edits (Levenshtein)."""
    engine = load(EngineRequest(model=files.job, device="cpu", compute_type=COMPUTE_TYPE))
    beams = usual_beam_size(files.job)
    pipeline = Pipeline(files, beams)
    rows: list[dict[str, Any]] = []
    for recording in chosen:
        windows = cut_windows(samples(recording.path), engine.max_window_seconds)
        options = DecodeOptions(language=recording.language, temperatures=(0.0,), beam_size=beams)
        ours: list[str] = []
        theirs: list[str] = []
        for first in range(0, len(windows), BATCH_SIZE):
            batch = windows[first : first + BATCH_SIZE]
            ours += [window.text for window in engine.transcribe(batch, options)]
            theirs += pipeline.texts(batch, recording.language)
        edits = sum(Levenshtein.distance(a, b) for a, b in zip(ours, theirs, strict=True))
        rows.append(
            {
                "recording": recording.name,
                "windows": len(windows),
                "characters": sum(map(len, theirs)),
                "different": edits,
            }
        )
    different = sum(row["different"] for row in rows)
    return {"rows": rows, "different": different, "met": different == 0}


def cut_windows(audio: Audio, longest_seconds: float) -> list[Audio]:
    """The windows that a chunk's task would decode, as samples."""
    spans = speech_spans(audio, longest_seconds)
    packed = pack_windows(spans, int(longest_seconds * SAMPLE_RATE))
    return [window.cut(audio) for window in packed]


class Pipeline:
    """faster-whisper's BatchedInferencePipeline, given windows that are cut already."""

    def __init__(self, files: WhisperFiles, beams: int) -> None:
        self._model = whisper_model(files.directory)
        self._beams = beams
        self._longest = self._model.max_length

    def texts(self, windows: Sequence[Audio], language: str) -> list[str]:
        """Texts without white space at the edges, one a window."""
        from faster_whisper import BatchedInferencePipeline
        from faster_whisper.tokenizer import Tokenizer

        tokenizer = Tokenizer(
            self._model.hf_tokenizer,
            self._model.model.is_multilingual,
            task="transcribe",
            language=language,
        )
        # CTranslate2 stops after half of the limit that faster-whisper gives it, which cuts long
        # texts off; ours gives it twice the room behind the prompt (engines/attempts.py).
        prompt = self._model.get_prompt(tokenizer, [], without_timestamps=True)
        self._model.max_length = 2 * (self._longest - len(prompt) - 1)
        # The same features to the bit: in int8 a difference of 1e-7 can make another word.
        extract = self._model.feature_extractor
        features = np.stack([log_mel(extract, window) for window in windows])
        lengths = [
            {"offset": 0.0, "duration": len(window) / SAMPLE_RATE, "segments": []}
            for window in windows
        ]
        found = BatchedInferencePipeline(self._model).forward(
            features, tokenizer, lengths, _options(tokenizer, self._beams)
        )
        return ["".join(part["text"] for part in window).strip() for window in found]


def _options(tokenizer: Any, beams: int) -> Any:
    """faster-whisper's defaults, but for the beams."""
    from faster_whisper.transcribe import TranscriptionOptions, get_suppressed_tokens

    return TranscriptionOptions(
        beam_size=beams,
        best_of=5,
        patience=1,
        length_penalty=1,
        repetition_penalty=1,
        no_repeat_ngram_size=0,
        log_prob_threshold=-1.0,
        no_speech_threshold=0.6,
        compression_ratio_threshold=2.4,
        temperatures=[0.0],
        initial_prompt=None,
        prefix=None,
        suppress_blank=True,
        suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
        without_timestamps=True,
        max_initial_timestamp=1.0,
        word_timestamps=False,
        prepend_punctuations="\"'“¿([{-",
        append_punctuations="\"'.。,，!！?？:：”)]}、",
        max_new_tokens=None,
        clip_timestamps="0",
        condition_on_previous_text=False,
        prompt_reset_on_temperature=0.5,
        multilingual=False,
        hallucination_silence_threshold=None,
        hotwords=None,
    )

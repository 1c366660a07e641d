"""Text of a prompt, stock phrases and unsure words are dropped where there is no voice."""

from __future__ import annotations

import numpy as np
import pytest

from gpu_worker.audio.samples import Audio
from gpu_worker.audio.speech import VadOptions
from gpu_worker.transcript import Word
from gpu_worker.transcription.chunk import transcribe_chunk
from gpu_worker.transcription.engines import DecodeOptions, WindowText
from gpu_worker.transcription.engines.fake import FakeEngine
from gpu_worker.transcription.hearing import known_speech
from gpu_worker.transcription.invented import ECHO, STOCK, UNSURE, invention, is_echo, voice

OPTIONS = DecodeOptions(
    language="en", initial_prompt="A talk about Scriptorium, Celery, RabbitMQ.", hotwords="pyannote"
)
RATE = 16_000


def noise(seconds: float = 4.0) -> Audio:
    return np.random.default_rng(0).normal(0, 0.02, int(seconds * RATE)).astype(np.float32)


def text(said: str, log_probability: float = -0.2) -> WindowText:
    return WindowText(said, (Word(said, 0.0, 1.0, 0.9),), log_probability, 0.3, 1.0, 0.0)


@pytest.mark.parametrize(
    ("said", "log_probability", "why"),
    [
        ("Scriptorium, Celery, RabbitMQ.", -0.1, ECHO),
        ("Celery", -0.1, ECHO),
        ("Pyannote pyannote pyannote", -0.1, ECHO),
        ("Thanks for watching!", -0.1, STOCK),
        ("Oh my god", -2.0, UNSURE),
        ("Oh my god", -0.1, None),  # sure words stay: a whisper is hardly a voice
        ("", -2.0, None),
    ],
)
def test_without_a_voice_suspicious_text_is_invented(
    said: str, log_probability: float, why: str | None
) -> None:
    assert invention(text(said, log_probability), noise(), OPTIONS) == why


@pytest.mark.parametrize("said", ["Celery", "Thanks for watching!", "Oh my god"])
def test_what_a_voice_says_stays_whatever_it_is(said: str) -> None:
    assert invention(text(said, -2.0), known_speech(), OPTIONS) is None


def test_without_a_threshold_of_silence_no_text_is_dropped() -> None:
    options = DecodeOptions(language="en", no_speech_threshold=None)
    assert invention(text("Thanks for watching!", -2.0), noise(), options) is None


def test_only_a_part_of_a_prompt_is_its_echo() -> None:
    assert is_echo("celery rabbitmq", OPTIONS)
    assert not is_echo("celery and rabbitmq", OPTIONS)
    assert not is_echo("celery", DecodeOptions(language="en"))
    assert not is_echo("...", OPTIONS)


def test_a_voice_is_heard_in_a_syllable() -> None:
    likelihood = np.zeros(100, np.float32)
    likelihood[50:55] = 0.95
    assert voice(likelihood) == pytest.approx(0.95)
    assert voice(likelihood[50:52]) == pytest.approx(0.95)
    assert voice(likelihood[:0]) == 0.0


class Inventive(FakeEngine):
    """Writes the prompt where it hears nothing."""

    def transcribe(self, windows: object, options: DecodeOptions) -> tuple[WindowText, ...]:
        assert isinstance(windows, (list, tuple))
        return tuple(text("Scriptorium, Celery.", -0.1) for _ in windows)


def test_a_reader_is_told_what_was_left_out_and_where() -> None:
    heard = transcribe_chunk(
        Inventive(), noise(), OPTIONS, first_sample=60 * RATE, vad=VadOptions(threshold=0.001)
    )
    assert heard.windows and heard.segments == ()
    [warning] = heard.warnings
    assert warning.code == "invented_text"
    assert "'Scriptorium, Celery.'" in warning.message and ECHO in warning.message
    assert warning.start is not None and 60 <= warning.start < 64

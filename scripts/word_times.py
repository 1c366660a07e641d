"""Synthetic speech that knows when each of its words begins and ends.

The same voices and sounds as `scripts.speech`, but made inside this process:
espeak-ng's library reports word and phoneme events, flite's utterances can be
walked segment by segment. Neither library may run in two threads at once; use
processes. This module knows nothing of models, windows or files of speech.
"""

from __future__ import annotations

import ctypes
import functools
import re
from collections.abc import Sequence
from ctypes import POINTER, c_char_p, c_float, c_int, c_short, c_ubyte, c_uint, c_void_p
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gpu_worker.pcm import SAMPLE_RATE
from scripts.pico.windows import Placed
from scripts.speech import FLITE_SPEED, Samples, Utterance, level, resample

SILENCE = 0.005  # the level under which `scripts.speech` trims both ends

# espeak-ng/speak_lib.h, 1.51
SYNCHRONOUS, PHONEME_EVENTS = 2, 1
RATE, PITCH = 1, 3
BY_CHARACTER, UTF8_AND_END_PAUSE = 1, 0x1001
LIST_TERMINATED, WORD, PHONEME = 0, 1, 7


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", c_int),
        ("identifier", c_uint),
        ("text_position", c_int),  # in characters from 1
        ("length", c_int),
        ("audio_position", c_int),  # ms
        ("sample", c_int),
        ("user_data", c_void_p),
        ("name", ctypes.c_char * 8),
    )


class _EspeakVoice(ctypes.Structure):
    _fields_ = (
        ("name", c_char_p),
        ("languages", c_char_p),
        ("identifier", c_char_p),
        ("gender", c_ubyte * 4),
        ("score", c_int),
        ("spare", c_void_p),
    )


class _FliteVoice(ctypes.Structure):
    _fields_ = (("name", c_char_p), ("features", c_void_p))


class _FliteWave(ctypes.Structure):
    _fields_ = (
        ("type", c_char_p),
        ("sample_rate", c_int),
        ("num_samples", c_int),
        ("num_channels", c_int),
        ("samples", POINTER(c_short)),
    )


@dataclass(frozen=True, slots=True)
class TimedSpeech:
    """An utterance, its sound without the silence around it, and where its words are."""

    said: Utterance
    samples: Samples
    words: tuple[Placed, ...]  # in order, without overlap


def speak(said: Utterance) -> TimedSpeech | None:
    """Synthesize an utterance with the times of its words.

    None where the engine ran two words into one (espeak-ng's "of the"), so that
    their border is not known. Raises SystemExit where the engine is missing.
    """
    engine = _espeak if said.voice.engine == "espeak" else _flite
    try:
        sound, rate, spans = engine(said)
    except OSError as missing:
        raise SystemExit(f"{missing}: apt-get install espeak-ng flite") from missing
    words = said.text.split()
    if len(spans) != len(words):
        return None
    samples = resample(sound.astype(np.float32) / np.float32(32768), rate)
    loud = np.flatnonzero(np.abs(samples) > SILENCE)
    if not len(loud):
        return None
    first, last = int(loud[0]), int(loud[-1]) + 1
    shift, length = first / SAMPLE_RATE, (last - first) / SAMPLE_RATE
    placed = tuple(
        Placed(word, max(start - shift, 0.0), min(end - shift, length))
        for word, (start, end) in zip(words, spans, strict=True)
    )
    if any(word.end <= word.start for word in placed):
        return None
    return TimedSpeech(said, level(samples[first:last]), placed)


def _espeak(said: Utterance) -> tuple[Any, int, list[tuple[float, float]]]:
    speech = _EspeakNg.loaded()
    sound, events = speech.say(said)
    letters = [match.start() + 1 for match in re.finditer(r"\S+", said.text)]
    if [position for kind, position, _, _ in events if kind == WORD] != letters:
        return sound, speech.rate, []
    return sound, speech.rate, _espeak_spans(events, letters)


def _espeak_spans(
    events: Sequence[tuple[int, int, float, str]], letters: Sequence[int]
) -> list[tuple[float, float]]:
    """A span for each word, from events (type, text position, seconds, phoneme).

    A word's own event comes a phoneme early where the word before ends in a nasal
    or a glide; then its first phoneme's event has the right time.
    """
    phonemes = [event for event in events if event[0] == PHONEME]
    starts = []
    for letter in letters:
        marked = next(time for kind, at, time, _ in events if kind == WORD and at == letter)
        before = [time for _, at, time, _ in phonemes if at < letter]
        own = [time for _, at, time, _ in phonemes if at == letter]
        starts.append(own[0] if own and before and before[-1] >= marked else marked)
    silences = [time for _, _, time, name in phonemes if name.startswith("_")]
    ends = [
        min([time for time in (*silences, following) if time > start])
        for start, following in pairwise([*starts, float("inf")])
    ]
    return list(zip(starts, ends, strict=True))


class _EspeakNg:
    """espeak-ng's library, initialised once a process."""

    @staticmethod
    @functools.cache
    def loaded() -> _EspeakNg:
        return _EspeakNg()

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libespeak-ng.so.1")
        self.rate: int = self._library.espeak_Initialize(SYNCHRONOUS, 0, None, PHONEME_EVENTS)
        self._parts: list[Any] = []
        self._events: list[tuple[int, int, float, str]] = []
        kind = ctypes.CFUNCTYPE(c_int, POINTER(c_short), c_int, POINTER(_Event))
        self._callback = kind(self._receive)  # kept: the library holds only its address
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, said: Utterance) -> tuple[Any, list[tuple[int, int, float, str]]]:
        """16-bit samples and the events, as `espeak-ng -v … -s … -p …` would say it."""
        self._parts.clear()
        self._events.clear()
        if self._library.espeak_SetVoiceByName(said.voice.name.encode()):
            wanted = _EspeakVoice(languages=said.voice.name.encode())  # what the program does
            self._library.espeak_SetVoiceByProperties(ctypes.byref(wanted))
        self._library.espeak_SetParameter(RATE, said.speed, 0)
        self._library.espeak_SetParameter(PITCH, said.pitch, 0)
        text = said.text.encode()
        self._library.espeak_Synth(
            text, len(text) + 1, 0, BY_CHARACTER, 0, UTF8_AND_END_PAUSE, None, None
        )
        return np.concatenate(self._parts), list(self._events)

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if samples and count:
            self._parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        number = 0
        while (event := events[number]).type != LIST_TERMINATED:
            name = event.name.decode(errors="replace") if event.type == PHONEME else ""
            seconds = event.sample / self.rate
            self._events.append((event.type, event.text_position, seconds, name))
            number += 1
        return 0


def _flite(said: Utterance) -> tuple[Any, int, list[tuple[float, float]]]:
    library, voice = _flite_library(), _flite_voice(said.voice.name)
    features = ctypes.cast(voice, POINTER(_FliteVoice)).contents.features
    stretch = FLITE_SPEED / said.speed
    library.feat_set_float(c_void_p(features), b"duration_stretch", c_float(stretch))
    utterance = c_void_p(library.flite_synth_text(said.text.encode(), c_void_p(voice)))
    wave = ctypes.cast(library.utt_wave(utterance), POINTER(_FliteWave)).contents
    sound = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).copy()
    spans = []
    word = library.relation_head(c_void_p(library.utt_relation(utterance, b"Word")))
    while word:
        spans.append(
            (
                library.flite_ffeature_float(c_void_p(word), FIRST_START),
                library.flite_ffeature_float(c_void_p(word), LAST_END),
            )
        )
        word = library.item_next(c_void_p(word))
    rate = wave.sample_rate
    library.delete_utterance(utterance)
    return sound, rate, spans


FIRST_START = b"R:SylStructure.daughter1.daughter1.R:Segment.p.end"  # of a word's first segment
LAST_END = b"R:SylStructure.daughtern.daughtern.R:Segment.end"


@functools.cache
def _flite_library() -> Any:
    library = ctypes.CDLL("libflite.so.1", mode=ctypes.RTLD_GLOBAL)
    for name in ("usenglish", "cmulex"):
        ctypes.CDLL(f"libflite_{name}.so.1", mode=ctypes.RTLD_GLOBAL)
    for name in ("flite_synth_text", "utt_wave", "utt_relation", "relation_head", "item_next"):
        getattr(library, name).restype = c_void_p
    library.flite_ffeature_float.restype = c_float
    library.flite_init()
    return library


@functools.cache
def _flite_voice(name: str) -> int:
    register = getattr(ctypes.CDLL(f"libflite_cmu_us_{name}.so.1"), f"register_cmu_us_{name}")
    register.restype = c_void_p
    return int(register(None))

"""Speakers and their utterances for training pico-voice, and windows cut out of them.

A speaker is a synthetic voice at one playback rate: the same recording played
12 % faster is another speaker, as usual in training speaker embeddings. The four
voices of the judged conversation are no speakers here, in no language.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gpu_worker.pcm import SAMPLE_RATE
from scripts.sentences import sentence
from scripts.speech import Samples, Utterance, Voice, play, synthesize

# espeak-ng 1.51's variants whose mean spectra differ; Mike is left out because it is nearly the
# held-out m3, whisper and whisperf because they have no voice.
VARIANTS = """
Alex Alicia Andrea Andy Annie AnxiousAndy Demonic Denis Diogo Gene Hugo Jacky Lee Marco Mario
Michael Mr\xa0serious Nguyen RicishayMax RicishayMax2 Storm Tweaky UniRobot adam anika announcer
antonio aunty belinda benjamin boris croak david ed edward f1 f3 f4 f5 grandma gustave iven iven2
iven3 john kaukovalta klatt3 klatt5 linda m1 m2 m5 m7 m8 marcelo max michel norbert pablo paul
pedro quincy rob robosoft robosoft2 robosoft3 robosoft4 robosoft5 robosoft6 robosoft7 sandro shelby
steph travis victor zac
""".replace("\n", " ")
HELD_OUT = ("espeak:en-us+f2", "espeak:en-us+m3", "flite:slt", "flite:rms")
LANGUAGES = {"en-us": "en", "es": "es", "es-419": "es", "de": "en", "it": "es", "fr-fr": "en"}
ENGLISH_SHARE = 0.6  # of a variant's utterances; the rest are spread over the other languages
FLITE = ("awb", "kal16")
RATES = (0.89, 1.0, 1.12)  # of playback; each makes a speaker
FLITE_RATES = (0.8, 0.86, 0.93, 1.0, 1.08, 1.16, 1.25)  # two voices only, so more of each
SPEEDS = range(138, 189)  # words a minute
PITCHES = range(46, 55)  # narrow: it is still the same speaker


@dataclass(frozen=True, slots=True)
class Speaker:
    """A voice (espeak-ng: a variant, in any language) at a playback rate."""

    engine: str
    name: str
    rate: float


def speakers() -> tuple[Speaker, ...]:
    """Everybody the model is trained on; the place is the class."""
    names = [name.replace("\xa0", " ") for name in VARIANTS.split(" ") if name]
    espeak = [Speaker("espeak", name, rate) for name in ["", *names] for rate in RATES]
    return (*espeak, *(Speaker("flite", name, rate) for name in FLITE for rate in FLITE_RATES))


def speech(dice: random.Random, speaker: Speaker) -> Samples:
    """One utterance of a speaker, of a training sentence."""
    language = "en-us"
    if speaker.engine == "espeak" and dice.random() > ENGLISH_SHARE:
        language = dice.choice(list(LANGUAGES))
    text = sentence(dice, LANGUAGES[language], held_out=False)
    name = speaker.name
    if speaker.engine == "espeak":
        name = f"{language}+{speaker.name}" if speaker.name else language
    voice = Voice(speaker.engine, name, LANGUAGES[language])
    pace = round(dice.choice(SPEEDS) / speaker.rate)
    sound = synthesize(Utterance(text, voice, pace, dice.choice(PITCHES)))
    return play(sound, speaker.rate)


class Pool:
    """Utterances at hand, as many of each speaker, kept as 16-bit integers."""

    def __init__(self, each: int, seed: int, workers: int = 1) -> None:
        self.speakers = speakers()

        def record(number: int) -> list[npt.NDArray[np.int16]]:
            dice = random.Random(seed * 100_000 + number)
            sounds = (speech(dice, self.speakers[number]) for _ in range(each))
            return [(np.clip(sound, -1, 1) * 32767).astype(np.int16) for sound in sounds]

        with ThreadPoolExecutor(workers) as threads:
            self._recorded = list(threads.map(record, range(len(self.speakers))))

    def stretch(self, dice: random.Random, speaker: int, length: int) -> Samples:
        """`length` samples of one speaker, with the pauses between utterances."""
        parts, missing = [], length + dice.randrange(SAMPLE_RATE)
        while missing > 0:
            said = dice.choice(self._recorded[speaker]).astype(np.float32) / np.float32(32768)
            pause = np.zeros(int(dice.uniform(0.0, 0.4) * SAMPLE_RATE), np.float32)
            parts += [said, pause]
            missing -= len(said) + len(pause)
        joined = np.concatenate(parts)
        start = dice.randrange(len(joined) - length + 1)
        return joined[start : start + length]

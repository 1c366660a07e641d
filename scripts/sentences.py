"""Sentences out of pico's vocabulary: random words, or something one might say.

With grammatical sentences alone a decoder learns the grammar and stops
listening, so at least half of what it trains on are random words.
"""

from __future__ import annotations

import random
import re

from scripts.speech import is_held_out, vocabulary

RANDOM_SHARE = 0.6  # of the sentences are random words
RANDOM_WORDS = (2, 7)  # in one of them, both ends included

SLOTS: dict[str, dict[str, str]] = {
    "en": {
        "name": "anna daniel laura maria peter thomas",
        "thing": "budget call contract design invoice meeting order project report review "
        "server ticket",
        "kind": "new old large small first second last final next urgent",
        "do": "cancel check close finish move open order review send share",
        "day": "monday tuesday wednesday thursday friday saturday sunday today tomorrow",
        "number": "two three four five six seven eight nine ten eleven twelve twenty thirty "
        "forty fifty",
    },
    "es": {
        "thing": "contrato cliente informe presupuesto proyecto",
        "do": "enviar revisar",
        "day": "lunes martes miércoles jueves viernes",
        "number": "dos tres cuatro cinco seis siete ocho nueve diez",
    },
}

PATTERNS: dict[str, tuple[str, ...]] = {
    "en": (
        "please {do} the {thing}",
        "please {do} the {kind} {thing}",
        "{name} will {do} the {thing} {day}",
        "we need {number} hours {day}",
        "hello {name} please {do} the {thing}",
        "when is the {kind} {thing}",
        "where is the {thing} {name}",
        "the {kind} {thing} was {number} dollars",
        "{name} and {name} {do} the {thing}",
        "should they {do} the {thing} {day}",
        "yes {number} percent of the budget",
        "no {name} not the {kind} {thing}",
        "thank you {name}",
        "what is the {thing} about",
        "i want to {do} a {thing}",
        "okay we call the customer {day}",
        "good morning {name}",
        "it was urgent last month",
        "you have a {thing} next week",
        "can i {do} it after {number} minutes",
        "the {thing} is from {name}",
        "{name} is in the {thing} with {name}",
        "the server is open for {number} hours",
        "no meeting before {day}",
    ),
    "es": (
        "necesito {do} el {thing}",
        "hola necesito el {thing} hoy",
        "buenos días la reunión con el cliente",
        "gracias por el {thing}",
        "por favor {do} el nuevo {thing}",
        "la reunión el {day} con el cliente",
        "el {thing} urgente para la semana",
        "necesito {number} días para el {thing}",
        "uno dos {number} gracias",
        "hoy mañana después",
        "antes el {day}",
    ),
}


def sentence(dice: random.Random, language: str, *, held_out: bool) -> str:
    """A sentence of the training set, or of the held-out one."""
    while True:
        if dice.random() < RANDOM_SHARE:
            text = " ".join(dice.choices(vocabulary()[language], k=dice.randint(*RANDOM_WORDS)))
        else:
            text = _fill(dice, language, dice.choice(PATTERNS[language]))
        if is_held_out(text) == held_out:
            return text


def _fill(dice: random.Random, language: str, pattern: str) -> str:
    slots = SLOTS[language]
    return re.sub(r"{(\w+)}", lambda slot: dice.choice(slots[slot[1]].split()), pattern)

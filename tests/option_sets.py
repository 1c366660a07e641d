"""Seeded sets of options, sane and hostile, as submitters may send them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from tasks.runs.options import JobOptions

# Of all kinds: too large, too small, no number, another type, text that is too long or odd.
HOSTILE: tuple[Any, ...] = (
    *(10**30, -(10**30), 5 * 10**8, 2**63, 2**31, 1e-9, 1e300, -1e300, 0, -1, True, None),
    *(float("nan"), float("inf"), "nan", "1e400", "", "x" * 5000, "\x00", "\ud800", "́" * 500),
    *([], [1] * 2000, [5 * 10**8], [-2], ["a"], {}, {"a": 1}, [[1]]),
)
TEXTS = ("Scriptorium, Celery.", "é中ا" * 50, " ", "a " * 900, "<|endoftext|>", "😀")
TOKENS = (5 * 10**8, 2**31 - 1, 999_999, 60_000, -2, 3)  # most are of no model


def option_sets(dice: random.Random, model: str) -> Iterator[dict[str, Any]]:
    """Yield options for ever."""
    schema = JobOptions.model_json_schema()["properties"]
    names = sorted(schema.keys() - {"model", "revision", "compute_type"})
    while True:
        chosen = dice.sample(names, dice.randint(1, 7))
        sane = dice.random() < 0.7
        values = {name: _value(dice, schema[name], sane=sane) for name in chosen}
        yield values | {"model": model}


def _value(dice: random.Random, schema: dict[str, Any], *, sane: bool) -> Any:
    if not sane and dice.random() < 0.5:
        return dice.choice(HOSTILE)
    kind = dice.choice(schema.get("anyOf", [schema]))
    if "enum" in kind or "$ref" in kind:
        return dice.choice(kind.get("enum", ["bulk", "interactive"]))
    low = kind.get("minimum", kind.get("exclusiveMinimum", 0))
    high = kind.get("maximum", kind.get("exclusiveMaximum", 1))
    match kind.get("type"):
        case "integer":
            return dice.choice([low, high, dice.randint(int(low), int(high))])
        case "number":
            return dice.choice([low, high, dice.uniform(low, high)])
        case "boolean":
            return dice.random() < 0.5
        case "string":
            return dice.choice(("en", "es", *TEXTS))
        case "array":
            return [dice.randrange(-1, 60_000) for _ in range(dice.choice([0, 1, 90, 1000]))]
    return None


def written_past_the_door(dice: random.Random, values: dict[str, Any]) -> dict[str, Any]:
    """Return options as another writer of the store may put them into a manifest.

    Half of them are as they are, with what the door refuses. The others have token ids as their
    one fault, some of which only the engine can refuse.
    """
    model = values["model"]
    tokens = [dice.choice(TOKENS) for _ in range(3)]
    changes = values if dice.random() < 0.5 else {"suppress_tokens": tokens}
    return JobOptions(model=model, language="en").model_dump(mode="json") | changes

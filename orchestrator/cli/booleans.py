"""Parse truth values given as text: openai/whisper writes `--fp16 False`, not `--no-fp16`."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from gpu_worker.errors import InvalidOption

_BOOLEAN = TypeAdapter(bool)  # the same words as in the API


def boolean(name: str, text: str) -> bool:
    """Parse an option's text as True or False, in any case: true, yes, on, 1 and their opposites.

    Raises InvalidOption for any other text.
    """
    try:
        return _BOOLEAN.validate_python(text.strip())
    except ValidationError:
        raise InvalidOption(
            f"{name} is {text!r}, but must be True or False.",
            hint="yes and no, on and off, 1 and 0 are understood too.",
        ) from None

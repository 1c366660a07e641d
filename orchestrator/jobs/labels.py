"""Read labels as people write them, and tell which jobs have them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter, ValidationError

from gpu_worker.errors import InvalidOption
from orchestrator.jobs.requests import LABELS, Labels

_LABELS: TypeAdapter[dict[str, str]] = TypeAdapter(Labels)
_HINT = f"At most {LABELS}; keys of 63 letters, digits and . _ / -, values of 100 characters."


class InvalidLabel(InvalidOption):
    """A label is not valid."""

    hint = _HINT
    param = "label"


def parse_labels(texts: Sequence[str], between: str = "=") -> dict[str, str]:
    """Return labels from texts such as `team=sales`. Raises InvalidLabel."""
    found: dict[str, str] = {}
    for text in texts:
        key, separator, value = text.partition(between)
        if not separator or key in found:
            raise InvalidLabel(f"{text[:100]!r} is not KEY{between}VALUE, or has a key twice.")
        found[key] = value
    return checked_labels(found)


def checked_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels. Raises InvalidLabel for those that break the rules."""
    try:
        return _LABELS.validate_python(dict(labels))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))[:100]
        raise InvalidLabel(f"Labels are not valid: {place}: {first['msg']}.") from error


def has_labels(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Tell whether a job with these labels has all that are wanted."""
    return wanted.items() <= labels.items()

"""Take the text fields of a form one by one, and refuse those that are left. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import TypeAdapter, ValidationError

from gpu_worker.errors import InvalidOption

_BOOLEAN = TypeAdapter(bool)
_SHOWN_LETTERS = 100  # of a name that is not known


class FieldRefused(InvalidOption):
    """A field of the form has a value that is not accepted."""

    hint = "docs/openai.md lists the fields and what each may be."

    def __init__(self, message: str, param: str | None) -> None:
        self.param = param
        super().__init__(message)


class Fields:
    """The fields of a form that were not taken yet; `close` refuses the rest."""

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in fields:
            if value:  # an empty field counts as not given
                self._values.setdefault(name.removesuffix("[]"), []).append(value)

    def one(self, name: str) -> str | None:
        """Take a field's only value, None if it is not given. Raises FieldRefused for several."""
        values = self._values.pop(name, [None])
        if len(values) > 1:
            raise FieldRefused(f"The field {name} is given {len(values)} times.", name)
        return values[0]

    def many(self, name: str) -> list[str]:
        """Take all values of a field, which may be written with brackets."""
        return self._values.pop(name, [])

    def inside(self, name: str) -> dict[str, str | None]:
        """Take the values of `name[key]` fields, by key. Raises FieldRefused."""
        found = [key for key in self._values if key.startswith(f"{name}[") and key.endswith("]")]
        return {key[len(name) + 1 : -1]: self.one(key) for key in found}

    def close(self) -> None:
        """Raise FieldRefused if a field is left."""
        for name in self._values:
            shown = name[:_SHOWN_LETTERS]
            raise FieldRefused(f"There is no field {shown!r}.", shown)

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        """Take a field that must be one of `choices`, or None. Raises FieldRefused."""
        text = self.one(name)
        if text is not None and text not in choices:
            raise FieldRefused(f"{name} is none of {', '.join(choices)}.", name)
        return text

    def boolean(self, name: str) -> bool:
        """Take a boolean field, false if it is not given. Raises FieldRefused."""
        try:
            return _BOOLEAN.validate_python(self.one(name) or False)
        except ValidationError:
            raise FieldRefused(f"{name} is neither true nor false.", name) from None

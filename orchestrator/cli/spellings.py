"""The two forms of an option's name: with dashes, and with underscores as whisper has them."""

from __future__ import annotations


def spellings(name: str) -> list[str]:
    """Return an option's two forms: --with-dashes and --with_underscores."""
    return list(dict.fromkeys([f"--{name.replace('_', '-')}", f"--{name}"]))

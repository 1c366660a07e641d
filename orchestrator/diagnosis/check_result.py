"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check: a name, a state, a sentence, and a hint if it is not ok."""

    name: str
    state: Literal["ok", "warning", "error"]
    message: str
    hint: str = ""

"""What one check answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer."""

    name: str
    state: Literal["ok", "warning", "error"]
    message: str
    hint: str = ""

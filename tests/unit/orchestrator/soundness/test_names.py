"""Very many names in little memory."""

from __future__ import annotations

import pytest

from orchestrator.soundness import names as module
from orchestrator.soundness.names import Names


def test_what_was_added_is_in_it_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FRESH", 10)
    known = Names(["first"])
    known.add_all(f"{number}" for number in range(95))
    assert all(f"{number}" in known for number in range(95))
    assert "first" in known
    assert "95" not in known
    assert "" not in known

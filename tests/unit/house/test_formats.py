"""The page and the documentation name every output format."""

from __future__ import annotations

import re

import pytest

from gpu_worker.assembly.formats import FORMATS
from tests import ROOT


def test_the_page_offers_every_format() -> None:
    text = (ROOT / "orchestrator" / "page" / "job" / "downloads.js").read_text(encoding="utf-8")
    menu = re.search(r"const FORMATS = \{(.+?)\n\};", text, re.DOTALL)
    assert menu
    names = re.findall(r"^  (\w+): ", menu[1], re.MULTILINE)
    assert sorted(names) == sorted(FORMATS)


@pytest.mark.parametrize("page", ["command_line.md", "triggers.md"])
def test_a_list_of_formats_in_the_docs_is_whole(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert ", ".join(FORMATS) in text

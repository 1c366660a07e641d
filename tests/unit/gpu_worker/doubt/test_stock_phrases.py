from __future__ import annotations

import pytest

from gpu_worker.doubt.stock_phrases import is_stock_phrase


@pytest.mark.parametrize(
    "text",
    ["Thanks for watching!", "Untertitelung im Auftrag des ZDF, 2021",
     "Subtitles by the Amara.org community", "Продолжение следует..."],
)  # fmt: skip
def test_thanks_of_film_makers_and_credits_of_subtitles_are_known(text: str) -> None:
    assert is_stock_phrase(text)


@pytest.mark.parametrize(
    "text", ["Thank you.", "Thanks for watching the children yesterday.", "", "Bye."]
)
def test_what_people_say_is_none(text: str) -> None:
    assert not is_stock_phrase(text)

"""What is used costs what the operator has set."""

from __future__ import annotations

import pytest

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.usage.prices import Prices, prices_of
from tasks.usage.figures import Figures
from tests.unit.orchestrator.usage.records import FIGURES


def test_audio_and_each_card_have_a_price_for_an_hour() -> None:
    prices = Prices(audio_hour=0.9, device_hour={"NVIDIA H200": 3.6, "cpu": 0.36})
    # 40 s of audio, 10 s of the card and 2.5 s of the CPU; what was found is free.
    assert prices.cost(FIGURES) == pytest.approx(0.01 + 0.01 + 0.00025)


def test_a_card_without_a_price_costs_what_all_others_do() -> None:
    used = {("align", "NVIDIA L4"): Figures(units=1, device_seconds=3600.0)}
    assert Prices(device_hour={"cpu": 1.0}).cost(used) == 0.0
    assert Prices(device_hour={"cpu": 1.0, "*": 2.0}).cost(used) == 2.0


def test_without_prices_nothing_costs_anything() -> None:
    assert prices_of(Settings()) is None
    assert prices_of(Settings(prices={"audio_hour": 1})) == Prices(audio_hour=1.0)


@pytest.mark.parametrize(
    "wrong",
    [{"audio": 1}, {"audio_hour": -1}, {"device_hour": {"cpu": "much"}}, {"audio_hour": {}}],
)
def test_wrong_prices_are_refused_with_what_is_wrong(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidOption, match="SCRIPTORIUM_PRICES is not valid") as refused:
        prices_of(Settings(prices=wrong))
    assert next(iter(wrong)) in refused.value.message

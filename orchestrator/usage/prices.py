"""What an operator charges for audio and for devices. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from tasks.runs.stages import Stage
from tasks.usage.figures import Figures
from tasks.usage.record import Place

HOUR = 3600.0
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Prices(BaseModel):
    """The setting SCRIPTORIUM_PRICES."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str = Field(default="", max_length=16)
    audio_hour: Price = 0.0  # of audio that was transcribed, not found
    device_hour: Mapping[str, Price] = {}  # by the card's name, or `cpu`; * for all others

    def cost(self, figures: Mapping[Place, Figures]) -> float:
        """Return what these figures cost."""
        return round(sum(self._cost(place, each) for place, each in figures.items()), 6)

    def _cost(self, place: Place, figures: Figures) -> float:
        stage, device = place
        audio = figures.audio_seconds if stage == Stage.TRANSCRIBE else 0.0
        an_hour = self.device_hour.get(device, self.device_hour.get("*", 0.0))
        return (audio * self.audio_hour + figures.device_seconds * an_hour) / HOUR


def prices_of(settings: Settings) -> Prices | None:
    """Return the settings' prices; None without any. Raises InvalidOption."""
    if not settings.prices:
        return None
    try:
        return Prices.model_validate(settings.prices)
    except ValidationError as error:
        wrong = "; ".join(f"{' '.join(map(str, it['loc']))} {it['msg']}" for it in error.errors())
        raise InvalidOption(
            f"SCRIPTORIUM_PRICES is not valid: {wrong.strip()}.",
            hint='Write it as {"currency": "EUR", "audio_hour": 0.1, "device_hour": {"cpu": 0.04}} '
            "(docs/usage.md).",
        ) from error

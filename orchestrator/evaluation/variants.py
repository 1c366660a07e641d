"""What is compared: the options of a job, and what of a worker's settings changes its text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from gpu_worker.models.whisper import AUTO, find_model
from tasks.runs.options import JobOptions
from tasks.runs.submitted_options import job_options

# Settings of workers that a variant may change, besides the options of jobs.
WORKER_SETTINGS = ("engine", "torch_encoder", "align_compute_type", "device", "cpu_threads")
MOST = len(ascii_lowercase)
_HINT = "Write it as model=base,beam_size=5; the options are those of `scriptorium transcribe`."


@dataclass(frozen=True, slots=True)
class Variant:
    """One side of a comparison."""

    name: str  # a letter
    given: str  # as the user wrote it
    options: JobOptions
    worker: Mapping[str, Any]  # settings that differ

    def settings(self, values: Settings) -> Settings:
        """Return the settings of this side's workers. Raises InvalidOption."""
        try:
            return Settings.model_validate({**values.model_dump(), **self.worker})
        except ValueError as error:
            raise InvalidOption(f"{self.given!r} is not valid: {error}.", hint=_HINT) from error


def split_values(text: str) -> dict[str, str]:
    """Parse `name=value,…`; a comma that no name follows is part of the value.

    Raises InvalidOption.
    """
    pairs = [part.partition("=") for part in re.split(r",(?=\s*[A-Za-z_-]+=)", text)]
    if not all(name.strip() and separator for name, separator, _ in pairs):
        raise InvalidOption(f"{text!r} names no options.", hint=_HINT)
    return {name.strip().replace("-", "_"): value for name, _, value in pairs}


def make_variants(
    sides: Sequence[tuple[str, Mapping[str, Any]]], usual: Mapping[str, Any]
) -> list[Variant]:
    """Return the sides by letters, the first one as the reference side.

    A side is the text that names it, and its values; `usual` are those that it does not name.
    Raises InvalidOption or UnknownModel.
    """
    if not 2 <= len(sides) <= MOST:
        raise InvalidOption(f"From 2 to {MOST} sides can be compared.", hint=_HINT)
    made = []
    for letter, (given, values) in zip(ascii_lowercase, sides, strict=False):
        own = {k: v for k, v in values.items() if _is_worker_setting(k)}
        options = job_options({**usual, **{k: v for k, v in values.items() if k not in own}})
        if options.model == AUTO:
            raise InvalidOption("No model is named.", hint="Name one, such as model=base.")
        find_model(options.model)
        made.append(Variant(letter, given, options, own))
    return made


def _is_worker_setting(name: str) -> bool:
    return name in WORKER_SETTINGS and name not in JobOptions.model_fields

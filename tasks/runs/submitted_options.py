"""A submitter's options: parsed, changed and checked.

They are checked at submission, so that a wrong one does not fail in a worker an hour later.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from gpu_worker.errors import InvalidOption
from gpu_worker.models.capabilities import check_english_only, is_english_only, usual_beam_size
from gpu_worker.models.parakeet import check_hears, check_writes, is_parakeet, parakeet_languages
from gpu_worker.models.whisper import AUTO
from gpu_worker.transcription.languages import ANY_LANGUAGE, check_language
from tasks.runs.options import JobOptions


def job_options(values: dict[str, Any]) -> JobOptions:
    """Parse a submitter's options. Raises InvalidOption, which names each wrong one."""
    try:
        options = JobOptions.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(map(_sentence, error.errors()))
        first = error.errors()[0]["loc"]
        option = str(first[0]) if first else None
        raise InvalidOption(f"Options are not valid: {wrong}.", option=option) from error
    check_model(options)
    return options


def changed_options(options: JobOptions, changes: Mapping[str, Any]) -> JobOptions:
    """Return the options with the changes. Raises InvalidOption.

    Replaces a beam size that is the model's usual one by the new model's usual one.
    """
    values = options.model_dump(mode="json")
    if options.model != AUTO and options.beam_size == usual_beam_size(options.model):
        del values["beam_size"]
    return job_options(values | dict(changes))


def check_model(options: JobOptions) -> None:
    """Raise InvalidOption for what the model, by its name, cannot do, or wrong speaker bounds.

    Called for submissions and not a validator: the same class reads the manifests of jobs that
    were accepted before these rules.
    """
    check_language(options.language)
    several = () if options.languages in (None, ANY_LANGUAGE) else options.languages or ()
    for code in several:
        check_language(code, "languages")
    if options.model == AUTO and options.revision is not None:
        raise InvalidOption(
            f"revision={options.revision!r} is of a model, and none is named.", option="revision"
        )
    # The engine checks a directory: no answer here may depend on what is in one.
    if not PurePath(options.model).is_absolute() and is_parakeet(options.model):
        known = parakeet_languages(options.model)
        for language in (options.language, *several):
            check_writes(options.model, known, language, options.task)
        check_hears(options.model, known, options.languages or ())
    if is_english_only(options.model):
        check_english_only(options.model, options.language, options.task)
        if options.languages is not None:
            check_english_only(options.model, ",".join(options.languages), options.task)
    exactly, least, most = options.num_speakers, options.min_speakers, options.max_speakers
    if exactly and not (least or 1) <= exactly <= (most or 100):
        bound = f"less than min_speakers ({least})" if exactly < (least or 1) else (
            f"more than max_speakers ({most})"
        )  # fmt: skip
        raise InvalidOption(f"Options are not valid: num_speakers ({exactly}) is {bound}.")


def _sentence(error: Mapping[str, Any]) -> str:
    """Write one of pydantic's errors as text; one about several options names no field."""
    place, message = ".".join(map(str, error["loc"])), error["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message

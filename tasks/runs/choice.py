"""Choose the models of one run where its job's options name none.

One worker chooses once, so that all chunks of a job use the same: one transcription model, one
aligner and one diarizer, with a warning for each that is not the usual one.
"""

from __future__ import annotations

from collections.abc import Mapping

from gpu_worker.choosing import (
    Found,
    ModelPlace,
    choose_diarizer,
    choose_model,
    choose_named,
    missing_aligner,
)
from gpu_worker.diarization.models import COMMUNITY, diarize_model
from gpu_worker.errors import ScriptoriumError
from gpu_worker.models.parakeet import is_parakeet, parakeet_languages
from gpu_worker.models.whisper import AUTO
from gpu_worker.transcript import TranscriptWarning
from gpu_worker.transcription.languages import ANY_LANGUAGE
from tasks.runs.manifest import Choice
from tasks.runs.options import JobOptions


def choose_transcriber(models: ModelPlace, options: JobOptions) -> Choice:
    """Choose the transcription model, and fetch it if it is missing. Raises ModelUnavailable."""
    if options.model != AUTO:
        return Choice()
    language = None if options.languages else options.language
    found = choose_model(models, language, options.task)
    return Choice(model=found.model, warnings=found.warnings)


def choose_by_language(
    models: ModelPlace, table: Mapping[str, str], options: JobOptions, spoken: str | None
) -> Choice:
    """Choose and fetch the model that the operator has named for the spoken language.

    Without a model, the choice is left to `choose_transcriber`; its warnings say why a model that
    was named cannot be had.
    """
    wanted = model_by_language(table, options, spoken)
    if wanted is None:
        return Choice()
    found = choose_named(models, wanted)
    if isinstance(found, Found):
        return Choice(model=found.model, warnings=found.warnings)
    warning = TranscriptWarning(
        "model_replaced",
        f"The text was not written by model {wanted}, which is the one for the language {spoken}, "
        f"since it could not be had: {found.message} {found.advice}",
    )
    return Choice(warnings=(warning,))


def model_by_language(
    table: Mapping[str, str], options: JobOptions, spoken: str | None
) -> str | None:
    """Return the model that the operator's table has for a job; None if it is for others. Pure.

    A model that is no Whisper gets no job that asks for what only a Whisper can do. A job of
    several languages is for none of these models, whatever language it begins with.
    """
    if options.model != AUTO or options.languages is not None or spoken is None:
        return None
    name = table.get(spoken, table.get("*"))
    if name is None or not is_parakeet(name):
        return name
    known = parakeet_languages(name)
    fits = known is None or spoken in known
    asks_for_whisper = options.task == "translate" or options.initial_prompt or options.hotwords
    return name if fits and not asks_for_whisper else None


def choose_others(
    models: ModelPlace, choice: Choice, options: JobOptions, spoken: str | None
) -> Choice:
    """Return `choice` with the aligner and the diarizer; `options` name the chosen model.

    `spoken` is the code of the spoken language, None for a file without speech.
    """
    if options.aligns:
        missing = [
            missing_aligner(models, options.model, language, options.align_model)
            for language in _aligned_languages(options, spoken)
        ]
        if missing and (first := missing[0]) and all(missing):
            choice = _with(choice, {"aligner": "cross_attention"}, (_not_aligned(first),))
    if options.diarizes and options.diarize_model is None and _is_usual(options.model):
        found = choose_diarizer(models)
        if found.model != COMMUNITY:
            choice = _with(choice, {"diarize_model": found.model}, found.warnings)
    return choice


def _aligned_languages(options: JobOptions, spoken: str | None) -> tuple[str, ...]:
    """Return the languages whose aligners are fetched beforehand: not all that Whisper knows."""
    if options.languages is None:
        return () if spoken is None else (spoken,)
    return () if options.languages == ANY_LANGUAGE else options.languages


def _is_usual(model: str) -> bool:
    """Tell whether a job with this transcription model uses the usual diarizer."""
    return diarize_model(model) == COMMUNITY


def _with(
    choice: Choice, chosen: dict[str, str], warnings: tuple[TranscriptWarning, ...]
) -> Choice:
    return choice.model_copy(update=chosen | {"warnings": (*choice.warnings, *warnings)})


def _not_aligned(error: ScriptoriumError) -> TranscriptWarning:
    return TranscriptWarning(
        "words_not_aligned",
        f"Words have the engine's own times ({error.code}): {error.message} {error.advice}",
    )

"""Choose the models of a job whose options name none.

Whether a model can be had is found out by fetching it. A model that replaces the wanted one comes
with a warning for the transcript that says why.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpu_worker.alignment.models import align_model, fetch_align_model, is_bundle
from gpu_worker.diarization.access import check_access
from gpu_worker.diarization.models import COMMUNITY
from gpu_worker.diarization.offline import OFFLINE_NAME, fetch_offline
from gpu_worker.errors import (
    HubTokenMissing,
    LibraryMissing,
    ModelUnavailable,
    PermanentError,
    ScriptoriumError,
)
from gpu_worker.models.builtin import FAKE_NAME
from gpu_worker.models.capabilities import wanted_models
from gpu_worker.models.parakeet import is_parakeet, parakeet_languages
from gpu_worker.models.whisper import cached_model, fetch_model, find_model
from gpu_worker.models.whisper_wheels import WHEEL_MODELS
from gpu_worker.transcript import TranscriptWarning


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """The device that models run on, and the directory that keeps their files."""

    device: str  # cpu or cuda
    model_dir: str | None = None
    hub_token: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The name of the model that was chosen, and the warnings for the transcript that say why."""

    model: str
    warnings: tuple[TranscriptWarning, ...] = ()


def choose_model(place: ModelPlace, language: str | None, task: str) -> Found:
    """Fetch the best transcription model that can be had, and return its name.

    Takes the first of `wanted_models`, from the hub or a wheel; else one that is on this machine
    already; else one in a wheel. Raises ModelUnavailable if there is none.
    """
    first, *others = wanted_models(place.device, language, task)
    try:
        fetch_model(find_model(first), place.model_dir, place.hub_token)
    except (ModelUnavailable, LibraryMissing) as error:
        taken = _on_this_machine(place, others) or _in_a_wheel(place, others)
        if taken is None:
            raise ModelUnavailable(
                f"No model was chosen, and none can be had: {error.message}",
                hint="Fetch one where there is a network, `scriptorium models pull NAME`, or name "
                "a directory that holds one: --model DIRECTORY.",
            ) from error
        return Found(taken, (_replaced(first, taken, error),))
    return Found(first)


def choose_named(place: ModelPlace, name: str) -> Found | ScriptoriumError:
    """Fetch a model that the operator has named; return its name, or why it cannot be had."""
    try:
        if is_parakeet(name):
            from gpu_worker.transcription.engines.parakeet.loading import (  # loads ONNX Runtime
                check_libraries,
            )

            check_libraries(place.device)
        fetch_model(find_model(name), place.model_dir, place.hub_token)
    except (ModelUnavailable, PermanentError) as error:
        return error
    return Found(name)


def language_detector(place: ModelPlace, model: str) -> str:
    """Return the model that detects the language for jobs with this one: itself, if it can.

    A model of the Parakeet kind that writes several languages does not say which one it hears.
    Raises ModelUnavailable.
    """
    if not is_parakeet(model) or len(parakeet_languages(model) or ()) == 1:
        return model
    return choose_model(place, None, "transcribe").model


def _on_this_machine(place: ModelPlace, names: list[str]) -> str | None:
    return next((name for name in names if cached_model(find_model(name), place.model_dir)), None)


def _in_a_wheel(place: ModelPlace, names: list[str]) -> str | None:
    for name in names:
        if name in WHEEL_MODELS:
            try:
                fetch_model(find_model(name), place.model_dir, place.hub_token, "wheel")
            except (ModelUnavailable, LibraryMissing):
                continue
            return name
    return None


def _replaced(wanted: str, taken: str, error: ScriptoriumError) -> TranscriptWarning:
    return TranscriptWarning(
        "model_replaced",
        f"The text was written by model {taken}, since {wanted} could not be had: "
        f"{error.message} Choose a model with --model NAME or SCRIPTORIUM_MODEL.",
    )


def missing_aligner(
    place: ModelPlace, transcription_model: str, language: str, chosen: str | None
) -> ScriptoriumError | None:
    """Fetch the model that times the words. Return the error if it cannot be had, else None."""
    try:
        name = align_model(transcription_model, language, chosen)
        if FAKE_NAME.match(name):
            return None
        if is_bundle(name):
            from gpu_worker.alignment.bundles import fetch_bundle  # which loads torch

            fetch_bundle(name, place.model_dir)
        else:
            fetch_align_model(name, place.model_dir, place.hub_token)
    except (ModelUnavailable, PermanentError) as error:
        return error
    except ImportError as error:
        return LibraryMissing(f"{error}, so words cannot be aligned.")
    return None


def choose_diarizer(place: ModelPlace) -> Found:
    """Choose the diarization model: the community pipeline, or `offline` without token or hub.

    If neither can be had, return the community pipeline: the stage that loads it then fails with
    the reason.
    """
    try:
        check_access(COMMUNITY, place.hub_token, place.model_dir)
    except (HubTokenMissing, ModelUnavailable) as error:
        try:
            fetch_offline(place.model_dir)
        except (ModelUnavailable, PermanentError):
            return Found(COMMUNITY)
        warning = TranscriptWarning(
            "speakers_offline",
            f"Speakers were told apart by the model {OFFLINE_NAME}, less well than by {COMMUNITY}, "
            f"which cannot be had: {error.message} {error.advice}",
        )
        return Found(OFFLINE_NAME, (warning,))
    except PermanentError:
        pass
    return Found(COMMUNITY)

"""A trial: a share of new jobs gets another model or compute type, so that both can be compared.

`SCRIPTORIUM_TRIAL` says which, as `{"share": 0.1, "compute_type": "int8"}`. A job takes part if it
names none of the options that the trial changes. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from config.settings import Settings
from gpu_worker.errors import InvalidOption, ModelNotTrusted
from gpu_worker.models.allowed import check_allowed
from gpu_worker.models.whisper import AUTO, find_model
from orchestrator.jobs.options import accepted_options
from tasks.runs.manifest import Manifest, TrialSide
from tasks.runs.option_values import ComputeType, ModelName, Record, Revision
from tasks.runs.options import JobOptions
from tasks.runs.submitted_options import changed_options

_OPTIONS = ("model", "revision", "compute_type")
_DIGEST_BYTES = 8
_DIGESTS = 1 << (8 * _DIGEST_BYTES)  # how many there are


class Trial(Record):
    """The share of new jobs that are of the variant, and its options."""

    share: float = Field(ge=0, le=1)
    model: ModelName | None = None
    revision: Revision | None = None
    compute_type: ComputeType | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The options that differ."""
        return self.model_dump(include=set(_OPTIONS), exclude_none=True)

    @model_validator(mode="after")
    def _differs(self) -> Self:
        if all(_is_unnamed(name, value) for name, value in self.options.items()):
            raise ValueError("a trial changes model or compute_type")
        if self.revision is not None and self.model in (None, AUTO):
            raise ValueError("revision is of a model, and none is named")
        return self


def trial_of(settings: Settings) -> Trial | None:
    """Return the settings' trial, or None without one.

    Raises InvalidOption, UnknownModel or ModelNotTrusted.
    """
    if not settings.trial:
        return None
    try:
        trial = Trial.model_validate(settings.trial)
    except ValidationError as error:
        wrong = "; ".join(f"{' '.join(map(str, it['loc']))} {it['msg']}" for it in error.errors())
        raise InvalidOption(
            f"SCRIPTORIUM_TRIAL is not valid: {wrong.strip()}.",
            hint='Write it as {"share": 0.1, "compute_type": "int8"} (docs/settings.md).',
        ) from error
    if trial.model is not None:
        check_allowed(trial.model, settings.allowed, revision=trial.revision)
        find_model(trial.model)
    return trial


def divided(
    given: JobOptions, control: JobOptions, job: str, settings: Settings
) -> tuple[JobOptions, TrialSide | None]:
    """Return the options of an accepted job, and its side of the trial; None: it takes no part.

    `control` is what `accepted_options` makes of the given ones. The side depends on the job's id
    alone, so that a submission that is sent again gets the same. Jobs that the variant's model
    could not do take no part, on neither side. Raises what `trial_of` raises.
    """
    trial = trial_of(settings)
    if trial is None or not all(_is_unnamed(it, getattr(given, it)) for it in trial.options):
        return control, None
    try:
        variant = accepted_options(changed_options(given, trial.options), settings)
    except (InvalidOption, ModelNotTrusted):
        return control, None
    return (variant, "variant") if is_variant(job, trial.share) else (control, "control")


def is_variant(job: str, share: float) -> bool:
    """Tell whether a job is of the variant, by a digest of its id: of many jobs `share` are."""
    digest = blake2b(job.encode(), digest_size=_DIGEST_BYTES, person=b"trial").digest()
    return int.from_bytes(digest) < share * _DIGESTS


def submitted_again(first: Manifest, given: JobOptions, settings: Settings) -> JobOptions:
    """Return the options of a submission that has the key of another one, to be compared with it.

    The trial may have been changed since the first one was accepted. So of a job of the variant
    the options that the submission does not name are the first one's. Raises as `accepted_options`.
    """
    control = accepted_options(given, settings)
    if first.trial != "variant":
        return control
    unnamed = [name for name in _OPTIONS if _is_unnamed(name, getattr(given, name))]
    return changed_options(control, {name: getattr(first.options, name) for name in unnamed})


def _is_unnamed(name: str, value: Any) -> bool:
    fields: Mapping[str, Any] = JobOptions.model_fields
    return bool(value == fields[name].default)

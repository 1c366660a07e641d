"""Complete and check a submitter's options for this cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from config.settings import Settings
from gpu_worker.alignment.models import check_align_model
from gpu_worker.diarization.models import check_trusted, diarize_model
from gpu_worker.errors import ModelNotTrusted, UnknownModel
from gpu_worker.models.allowed import check_allowed, listed_name
from gpu_worker.models.whisper import AUTO, find_model
from tasks.runs.options import JobOptions
from tasks.runs.stages import Lane
from tasks.runs.submitted_options import changed_options, check_model


def accepted_options(options: JobOptions, settings: Settings) -> JobOptions:
    """Return the options, with the cluster's model if they name none.

    Raises UnknownModel, ModelNotTrusted or InvalidOption for what no worker would load or do.
    """
    if options.model == AUTO and settings.model != AUTO:
        options = changed_options(options, {"model": settings.model})
    with _told_of("model"):
        check_allowed(options.model, settings.allowed, revision=options.revision)
        find_model(options.model)
    check_model(options)
    if options.align_model is not None:
        with _told_of("align_model"):
            check_align_model(options.align_model, settings.allowed)
    if options.diarizes:
        with _told_of("diarize_model"):
            check_trusted(diarize_model(options.model, options.diarize_model), settings.trusted)
    return options


@contextmanager
def _told_of(option: str) -> Iterator[None]:
    """Let errors about a model in the block say which option has named it."""
    try:
        yield
    except (UnknownModel, ModelNotTrusted) as error:
        error.option = option
        raise


def allowing(settings: Settings, options: JobOptions) -> Settings:
    """Return the settings, with the options' models allowed: their user is the operator."""
    names = settings.allowed | {listed_name(options.model, options.revision)}
    if options.align_model is not None:
        names |= {listed_name(options.align_model)}
    return settings.model_copy(update={"allowed_models": ",".join(sorted(names))})


def with_allowed_lane(options: JobOptions, tenant: str, settings: Settings) -> JobOptions:
    """Return the options; without `interactive` if the tenant may ask for it only for short files.

    The file's length then decides: a short file is in the interactive lane without asking.
    """
    if options.lane is Lane.INTERACTIVE and not settings.may_hurry(tenant):
        return options.model_copy(update={"lane": None})
    return options

"""Faults of an accepted model on one worker: its submitter has nothing to do with them.

A job names models of this package's tables, or models that the operator lists, and its options
were checked when it was submitted. So a model that a worker does not know or cannot load is missing
or broken there, and another worker may have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gpu_worker.errors import InvalidOption, LibraryMissing, UnknownModel, WorkerFault


class ModelUnusable(WorkerFault):
    """This worker cannot load the model, or does not know it; another may."""

    code = "model_unusable"
    hint = (
        "Its files are missing or broken on the worker, or are no such model: look at them, or "
        "delete them there, so that they are fetched again."
    )

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"Model {model!r} cannot be used on this worker: {reason}")
        self.model = model


class TypeUnsupported(InvalidOption):
    """The device of this worker does not compute with this type; another may."""

    code = "compute_type_unsupported"
    hint = "Leave compute_type out: the worker then takes what its device can do."


@contextmanager
def as_worker_faults(model: str) -> Iterator[None]:
    """Turn what goes wrong while an accepted model is loaded into a fault of this worker.

    Raises ModelUnusable for an UnknownModel, and LibraryMissing for an ImportError.
    """
    try:
        yield
    except UnknownModel as error:
        raise ModelUnusable(model, error.message) from error
    except ImportError as error:
        raise LibraryMissing(f"Model {model!r} cannot be loaded: {error}.") from error

"""What is wrong with an accepted model on one worker is not the submitter's fault."""

from __future__ import annotations

import pytest

from gpu_worker.errors import InvalidOption, LibraryMissing, UnknownModel, WorkerFault
from gpu_worker.models.faults import ModelUnusable, as_worker_faults


def test_a_model_that_is_broken_on_a_worker_is_the_worker_s_fault() -> None:
    broken = UnknownModel("'base' is not a Whisper model: File model.bin is incomplete.")
    unusable = pytest.raises(ModelUnusable, match="'base' cannot be used on this worker")
    with unusable as told, as_worker_faults("base"):
        raise broken
    assert "incomplete" in told.value.message
    assert issubclass(ModelUnusable, WorkerFault)
    assert ModelUnusable("base", "It is broken.").code == "model_unusable"


def test_a_library_that_does_not_load_is_named_as_missing() -> None:
    with pytest.raises(LibraryMissing, match="No module named 'onnx'"), as_worker_faults("base"):
        raise ImportError("No module named 'onnx'")


def test_other_errors_go_through() -> None:
    with pytest.raises(InvalidOption), as_worker_faults("base"):
        raise InvalidOption

"""Every module of `gpu_worker` can be imported with the libraries that are installed."""

from __future__ import annotations

import importlib
from pkgutil import walk_packages

import pytest

import gpu_worker

NAMES = [module.name for module in walk_packages(gpu_worker.__path__, "gpu_worker.")]


@pytest.mark.slow  # torch is imported
@pytest.mark.parametrize("name", NAMES)
def test_a_module_is_imported_without_a_warning(name: str) -> None:
    if name.endswith(".whisperx"):
        pytest.importorskip("whisperx")
    importlib.import_module(name)


def test_no_module_is_left_out() -> None:
    assert {"gpu_worker.models.wheels", "gpu_worker.alignment.ctc"} <= set(NAMES) and len(
        NAMES
    ) > 50

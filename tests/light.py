"""For `make unit-light`: skip, with its reason, each test that needs a library which is not there.

A plugin of pytest, loaded by its name (`-p tests.light`). Only that command loads it: in every
other run a library that cannot be imported is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

# Libraries by what they are imported as, and a program. `make install-light` leaves them out.
LEFT_OUT = (
    "av", "ctranslate2", "faster_whisper", "filelock", "flower", "hadolint", "helm_python",
    "huggingface_hub", "jiwer", "kubernetes_validate", "matplotlib", "onnx", "onnx_asr",
    "onnxruntime", "openai", "playwright", "praatio", "pyannote", "pympi", "safetensors", "scipy",
    "tokenizers",
    "torch", "torchaudio", "transformers", "webvtt", "whisperx",
)  # fmt: skip
PROGRAMS = Path(sys.executable).parent
ABSENT = frozenset(
    name for name in LEFT_OUT if find_spec(name) is None and not (PROGRAMS / name).exists()
)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what caused it, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def absent_library(error: BaseException) -> str | None:
    """The library for whose absence this was raised; None if it was raised for anything else."""
    for cause in causes(error):
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            library = cause.name.partition(".")[0]
            return library if library in ABSENT else None
    return None


def skip_without(library: str) -> NoReturn:
    """Raises pytest's Skipped."""
    pytest.skip(f"{library} is not installed (make install)", allow_module_level=True)


def _step() -> Generator[None, object, object]:
    try:
        return (yield)
    except Exception as error:
        library = absent_library(error)
        if library:
            skip_without(library)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """A fixture may import it, or the test says by its marker that a process it starts does."""
    for marker in item.iter_markers("needs"):
        if marker.args[0] in ABSENT:
            skip_without(marker.args[0])
    return (yield from _step())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """The test may import it, or what the test calls."""
    return (yield from _step())


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The file may import it, for all its tests. Each file is told by its own path."""
    collect = collector.collect

    def collect_or_skip() -> list[pytest.Item | pytest.Collector]:
        try:
            return list(collect())
        except collector.CollectError as error:
            library = absent_library(error)
            if library:
                skip_without(library)
            raise

    collector.collect = collect_or_skip  # type: ignore[method-assign]
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        report.longrepr = (str(collector.path), 0, report.longrepr[2])  # else all are one to xdist
    return report

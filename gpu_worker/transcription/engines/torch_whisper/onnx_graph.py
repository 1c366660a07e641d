"""The encoder as an ONNX graph on disk: written once for a model, and found again.

`torch.onnx.export` writes it, by tracing: the way of torch 2.8 that needs `onnx` alone. The number
of windows is its only free axis. A graph lies below the directory of models, under a name with a
digest of all that it is made of, so another model, type, version or code never finds it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from glob import escape
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch
from filelock import Timeout

from gpu_worker.errors import LibraryMissing, ModelUnavailable
from gpu_worker.models.kernel_lock import kernel_lock
from gpu_worker.models.weights.ctranslate2_file import Floats
from gpu_worker.transcription.engines.torch_whisper import encoder as encoder_code
from gpu_worker.transcription.engines.torch_whisper import layers as layers_code
from gpu_worker.transcription.engines.torch_whisper.encoder import Encoder

FOLDER = "onnx"  # inside the directory of models
GRAPH = "encoder.onnx"  # beside it the weights, if the graph would be too large for one file
INPUT, OUTPUT = "features", "states"
LOCK_SECONDS = 1800.0  # TensorRT takes minutes to build a large model
_CHECKSUMS = "checksums.json"
_OPSET = 17  # the first one in which a layer norm is one operator


def graph_directory(
    root: Path, model: str, weights: Mapping[str, Floats], kind: torch.dtype
) -> Path:
    """Return the directory for the graph of these weights in this type; it may not exist.

    `model` may be a path: its last part makes the name readable.
    """
    digest = hashlib.sha256(f"{torch.__version__} {_OPSET} {kind}".encode())
    for code in (encoder_code, layers_code):
        digest.update(Path(str(code.__file__)).read_bytes())
    for name, value in sorted(weights.items()):
        digest.update(f"{name} {value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    number = str(kind).removeprefix("torch.")
    return root / FOLDER / f"{Path(model).name}-{number}-{digest.hexdigest()[:16]}"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Let one process at a time write to the directory. Raises ModelUnavailable if it cannot."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        lock = directory.with_name(f"{directory.name}.lock")
        with kernel_lock(lock, LOCK_SECONDS) as is_alone:
            if not is_alone:
                raise ModelUnavailable(
                    f"The file system of {directory.parent} has no locks.",
                    hint="Let SCRIPTORIUM_MODEL_DIR name a directory on one that has (Lustre's "
                    "has them with its mount option `flock`).",
                )
            yield
    except Timeout as error:
        raise ModelUnavailable(
            f"Another process has been busy with {directory} for {LOCK_SECONDS:.0f} s."
        ) from error
    except OSError as error:
        raise ModelUnavailable(
            f"A graph cannot be kept in {directory.parent}: {error.strerror}.",
            hint="Let SCRIPTORIUM_MODEL_DIR name a directory that can be written to.",
        ) from error


def whole_graph(directory: Path, build: Callable[[], Encoder]) -> Path:
    """Return the graph's file. If it is missing or broken, write that of the encoder `build` makes.

    The directory appears whole or not at all. Needs the lock. Raises LibraryMissing, OSError.
    """
    if not _is_whole(directory):
        if find_spec("onnx") is None:
            raise LibraryMissing(
                "An ONNX graph is written with the package `onnx`, which is not installed.",
                hint="Install the onnx extra: pip install 'scriptorium[worker,onnx]'. Or leave "
                "SCRIPTORIUM_TORCH_ENCODER out.",
            )
        prefix = f".{directory.name}."
        for left_over in directory.parent.glob(
            f"{escape(prefix)}*"
        ):  # of a process that was killed
            shutil.rmtree(left_over, ignore_errors=True)
        place = Path(mkdtemp(prefix=prefix, dir=directory.parent))
        try:
            graph = place / "graph"
            graph.mkdir()
            _export(build(), graph / GRAPH)
            _write_checksums(graph)
            shutil.rmtree(directory, ignore_errors=True)
            graph.rename(directory)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    return directory / GRAPH


def _export(encoder: Encoder, file: Path) -> None:
    weight = encoder.conv1.weight
    frames = 2 * len(encoder.positional_embedding)
    sound = torch.zeros(1, weight.shape[1], frames, dtype=weight.dtype, device=weight.device)
    with warnings.catch_warnings():  # the other way to export needs two more packages
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            encoder,
            (sound,),
            str(file),  # of a Path it does not take the directory for what is beyond 2 GiB
            dynamo=False,
            opset_version=_OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "windows"}, OUTPUT: {0: "windows"}},
        )


def _write_checksums(place: Path) -> None:
    found = {file.name: _checksum(file) for file in sorted(place.iterdir())}
    (place / _CHECKSUMS).write_text(json.dumps(found, indent=1), encoding="utf-8")


def _is_whole(directory: Path) -> bool:
    try:
        known = json.loads((directory / _CHECKSUMS).read_text(encoding="utf-8"))
        return GRAPH in known and all(
            _checksum(directory / name) == digest for name, digest in known.items()
        )
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _checksum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()

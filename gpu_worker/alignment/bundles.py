"""Find and fetch the align models that torchaudio knows by a name in capitals (its bundles).

torchaudio fetches a model while it builds it, and waits for the server without a limit. So this
module fetches the file first, into the place where torchaudio looks for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import torch
from torchaudio import pipelines

from gpu_worker.errors import ModelUnavailable, UnknownModel
from gpu_worker.models import hub
from gpu_worker.models.hub import ANSWER_SECONDS, SERVERS, TORCH


def find_bundle(name: str) -> Any:
    """Return the torchaudio bundle of that name; its file may be missing. Raises UnknownModel."""
    bundle = getattr(pipelines, name, None)
    if not isinstance(bundle, pipelines.Wav2Vec2ASRBundle):
        raise UnknownModel(f"torchaudio has no align model named {name!r}.")
    return bundle


def fetch_bundle(name: str, model_dir: str | None) -> str:
    """Return the directory that holds the bundle's file; fetch it first if it is not there.

    Without `model_dir` it is the cache of torch. Raises UnknownModel, ModelUnavailable.
    """
    file = find_bundle(name)._path
    directory = Path(model_dir) if model_dir else Path(torch.hub.get_dir()) / "checkpoints"
    if (directory / file).exists():
        return str(directory)
    url = f"{hub.TORCH_MODELS}/{file}"
    try:
        with SERVERS.asking(TORCH, f"Align model {name!r}"):
            urlopen(Request(url, method="HEAD"), timeout=ANSWER_SECONDS).close()
            directory.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(directory / file), progress=False)
    except OSError as error:  # urllib's errors are among them
        raise ModelUnavailable(
            f"Align model {name!r} could not be fetched: {type(error).__name__}.",
            hint=f"Check the network, or fetch it beforehand: `scriptorium models pull {name}`.",
        ) from error
    return str(directory)

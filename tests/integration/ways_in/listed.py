"""A list of recordings in a bucket, some of them bad, as a collection is submitted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

# The bad lines in turn: cut off, no audio, not allowed, not there yet.
CODES = ("unreadable_line", "unreadable_audio", "source_not_allowed", "source_missing")
HOPELESS = (CODES[0], CODES[2])  # until the list or a setting changes


@dataclass(frozen=True)
class Listed:
    """Files in a bucket and the list of them; of `every` lines one is bad."""

    s3: Any
    bucket: str
    sound: bytes
    files: int
    every: int
    options: dict[str, Any]

    @cached_property
    def bad(self) -> dict[int, str]:
        """The code of the error of each bad line."""
        return {
            line: CODES[line // self.every % len(CODES)]
            for line in range(self.every, self.files + 1, self.every)
        }

    @property
    def hopeless(self) -> dict[int, str]:
        """The bad lines that stay bad when what is in the bucket is mended."""
        return {line: code for line, code in self.bad.items() if code in HOPELESS}

    @property
    def text(self) -> bytes:
        return "\n".join(map(self._line, range(1, self.files + 1))).encode()

    def put(self) -> None:
        """Put what is there at first."""
        for line in range(1, self.files + 1):
            code = self.bad.get(line)
            if code in (None, "unreadable_audio"):
                self._put(line, b"no audio" if code else self.sound)

    def mend(self) -> None:
        """Put sound where there is none."""
        for line in self.bad.keys() - self.hopeless.keys():
            self._put(line, self.sound)

    def _put(self, line: int, body: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=f"calls/{line}.wav", Body=body)

    def _line(self, line: int) -> str:
        code = self.bad.get(line)
        bucket = "elsewhere" if code == "source_not_allowed" else self.bucket
        text = json.dumps({"source": f"s3://{bucket}/calls/{line}.wav", "options": self.options})
        return text[:20] if code == "unreadable_line" else text

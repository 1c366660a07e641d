"""The rival: faster-whisper's batched pipeline in one process, as a user would run it.

    python -m benchmarks.cluster.baseline MODEL COMPUTE_TYPE THREADS PARENT

Reads requests as lines of JSON on stdin ({"paths": […], "options": {…}}), transcribes the
files one after the other, and answers each with a line. The model is loaded once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from gpu_worker.audio.decoder.sandbox import die_with_parent


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request took."""

    seconds: float
    windows: int
    speech_seconds: float


class Baseline:
    """The process; use as a context manager."""

    def __init__(
        self, model: Path, compute_type: str, threads: int, environment: Mapping[str, str]
    ) -> None:
        """`environment` is added to our own."""
        own = [str(model), compute_type, str(threads), str(os.getpid())]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.cluster.baseline", *own],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def transcribe(self, paths: list[Path], options: dict[str, Any]) -> Answer:
        """All files, one after the other."""
        to_child, from_child = _pipe(self._process.stdin), _pipe(self._process.stdout)
        to_child.write(json.dumps({"paths": [str(p) for p in paths], "options": options}) + "\n")
        to_child.flush()
        line = from_child.readline()
        if not line:
            raise RuntimeError("The baseline's process ended; see its error above.")
        return Answer(**json.loads(line))


def _pipe(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise RuntimeError("The baseline's process has no pipe.")
    return stream


def main() -> None:
    """Serve requests until stdin ends."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    class Counting(BatchedInferencePipeline):
        windows = 0

        def forward(self, features: Any, *arguments: Any) -> Any:
            self.windows += len(features)
            return super().forward(features, *arguments)

    model, compute_type, threads, parent = sys.argv[1:]
    die_with_parent(int(parent))
    pipeline = Counting(
        WhisperModel(model, device="cpu", compute_type=compute_type, cpu_threads=int(threads))
    )
    for line in sys.stdin:
        request = json.loads(line)
        pipeline.windows, speech = 0, 0.0
        started = time.perf_counter()
        for path in request["paths"]:
            segments, info = pipeline.transcribe(path, **request["options"])
            for _ in segments:
                pass
            speech += info.duration_after_vad
        answer = {
            "seconds": time.perf_counter() - started,
            "windows": pipeline.windows,
            "speech_seconds": speech,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

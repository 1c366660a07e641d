"""Serve one side: a request as a line of JSON on stdin, an answer as a line on stdout.

    python -m benchmarks.speed.sides MODULE SETUP

The first line says that the model is there. What libraries print goes to stderr. The process ends
when stdin does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.speed.sides import Setup, Side


def main() -> None:
    """Serve requests."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and end what was started
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the runner ends the sides
    module, setup = sys.argv[1], Setup(**json.loads(sys.argv[2]))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with ExitStack() as opened:
        side = import_module(f"benchmarks.speed.sides.{module}").load(setup)
        if hasattr(side, "__exit__"):
            opened.enter_context(side)
        print(json.dumps({"ready": True}), file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(side, json.loads(line))), file=answers, flush=True)


def answer(side: Side, request: dict[str, Any]) -> dict[str, Any]:
    """What one request gives, with its seconds."""
    paths = [Path(path) for path in request["paths"]]
    started = time.perf_counter()
    if request["is_warm_up"]:
        side.warm_up(paths[0])
        return {"seconds": time.perf_counter() - started}
    heard = side.transcribe(paths, request["batch_size"])
    return {"seconds": time.perf_counter() - started, **asdict(heard)}


if __name__ == "__main__":
    main()

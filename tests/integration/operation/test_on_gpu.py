"""The measurement for a bare machine with a GPU runs from its first part to its last."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

# What such a machine does not have, and nothing of ours but the models' code.
ABSENT = ("celery", "redis", "fastapi", "boto3", "whisperx", "pyannote", "tasks", "orchestrator")
PROGRAM = f"""
import runpy, sys
for name in {ABSENT!r}:
    sys.modules[name] = None  # to import it fails
sys.argv = ["on_gpu", "--device", "cpu", "--out", sys.argv[1]]
runpy.run_module("benchmarks.on_gpu", run_name="__main__")
"""


def test_every_part_runs_on_a_cpu_without_an_error(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, out], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text(encoding="utf-8"))
    assert list(found) == [
        "machine", "text", "equality", "fallback", "steps", "batches", "batcher", "peer",
        "alignment", "trellis", "convolutions", "detection", "torch_text", "torch_batches",
        "onnx_encoder",
    ]  # fmt: skip
    assert not [part for part, figures in found.items() if "error" in figures]
    assert found["text"]["int8"]["windows_with_equal_text"] == found["machine"]["windows"] == 6
    assert all(row["equal_tokens"] == row["windows"] for row in found["equality"]["int8"])
    assert found["batcher"]["mean_fill"] > 0.5
    assert found["trellis"]["4"]["equal_paths"] == 4
    assert found["torch_text"]["float32"]["windows_with_equal_text"] == 6
    assert found["torch_text"]["float32"]["equal_alone"] == 6
    assert found["onnx_encoder"]["CPUExecutionProvider"]["text"]["windows_with_equal_text"] == 6

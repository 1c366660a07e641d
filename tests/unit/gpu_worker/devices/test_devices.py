"""What there is to compute on."""

from __future__ import annotations

import json

import pytest

from gpu_worker.devices import gpu_names, main


def test_the_gpus_are_printed_with_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    found = json.loads(capsys.readouterr().out)
    assert found["gpus"] == gpu_names()
    assert found["faster_whisper"]

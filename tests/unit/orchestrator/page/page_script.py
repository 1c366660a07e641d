"""The page's own functions, run by the JavaScript engine that Playwright brings along."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import playwright

from orchestrator.api.routes import page

DIRECTORY = Path(page.__file__).parents[2] / "page"
NODE = Path(playwright.__file__).parent / "driver" / "node"


def evaluate(file: str, expression: str, data: Any = None) -> Any:
    """What the expression gives, in which `data` is that JSON and `file`'s functions are known.

    The file must import nothing and touch no document.
    """
    source = (DIRECTORY / file).read_text(encoding="utf-8")
    script = (
        f"{source}\nconst data = {json.dumps(data)};\nconsole.log(JSON.stringify({expression}));"
    )
    ended = subprocess.run(
        [NODE, "--input-type=module", "-"],
        input=script,
        capture_output=True,
        text=True,
        timeout=60,
        encoding="utf-8",
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)

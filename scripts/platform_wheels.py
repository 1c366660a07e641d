"""Prints which pins of locks/ have no wheel for another architecture.

    python -m scripts.platform_wheels                    aarch64, every file of locks/
    python -m scripts.platform_wheels --machine ppc64le locks/orchestrator.txt

Asks pip, with the index that it is configured for, for the Python and the C library of the images.
Where an index does not give a wheel's description apart pip fetches the wheel: for gpu-worker.txt
gigabytes, in minutes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

LOCKS = Path(__file__).parent.parent / "locks"
PYTHON = "3.11"
NEWEST_GLIBC = 36  # 2.36, of Debian 12
PIN = re.compile(r"^([\w.-]+==[\w.+]+)", re.MULTILINE)
NONE_FOUND = re.compile(r"No matching distribution found for (\S+)")

Ask = Callable[[Sequence[str]], str]  # pins to what pip complains of; empty: all have wheels


def pins(text: str) -> list[str]:
    """Read `name==version` of each entry of a file of locks/."""
    return PIN.findall(text)


def without_wheel(wanted: Sequence[str], ask: Ask) -> list[str]:
    """Return the pins that have no wheel. Raises RuntimeError if pip fails for another reason."""
    left, missing = list(wanted), list[str]()
    while left:
        complaint = ask(left)
        if not complaint:
            break
        found = NONE_FOUND.search(complaint)
        if found is None or found[1] not in left:
            raise RuntimeError(complaint)
        left.remove(found[1])
        missing.append(found[1])
    return missing


def ask_pip(machine: str, wanted: Sequence[str]) -> str:
    """Ask pip for wheels of all pins, without what they depend on; return its error output."""
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(NEWEST_GLIBC, 16, -1)]
    tags += [f"manylinux2014_{machine}", f"linux_{machine}"]
    with tempfile.TemporaryDirectory() as nowhere:
        done = subprocess.run(
            [
                sys.executable, "-m", "pip", "install", "--dry-run", "--quiet",
                "--ignore-installed", "--no-deps", "--only-binary=:all:", "--target", nowhere,
                "--python-version", PYTHON, *(f"--platform={tag}" for tag in tags), *wanted,
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    return done.stderr if done.returncode else ""


def main() -> None:
    """Print the pins without a wheel, by file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machine", default="aarch64", help="as `uname -m` says it")
    parser.add_argument("files", nargs="*", type=Path, default=sorted(LOCKS.glob("*.txt")))
    given = parser.parse_args()
    for file in given.files:
        wanted = pins(file.read_text(encoding="utf-8"))
        missing = without_wheel(wanted, lambda asked: ask_pip(given.machine, asked))
        print(f"{file.name}: {len(missing)} of {len(wanted)} without a wheel for {given.machine}")
        for pin in missing:
            print(f"  {pin}")


if __name__ == "__main__":
    main()

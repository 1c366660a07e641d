"""Prints what images weigh, layer by layer, as their engine tells it.

    python -m scripts.image_sizes scriptorium/orchestrator:0.1.0 scriptorium/cpu-worker:0.1.0
    python -m scripts.image_sizes --engine 'podman --root /elsewhere' IMAGE ...

Sizes are those on the disk, not of what is fetched, which is compressed.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
SIZE = re.compile(r"([\d.]+) ?(B|kB|MB|GB)")
SHELL = re.compile(r"^(RUN )?/bin/sh( -c)? ?(#\(nop\) ?)?")
MOUNTS = re.compile(r"--mount=\S+ ")
SHOWN = 70  # characters of a step


@dataclass(frozen=True, slots=True)
class Layer:
    """What one step of a build has added."""

    size: int  # bytes
    step: str


def history(image: str, engine: Sequence[str]) -> list[Layer]:
    """Ask the engine for an image's layers; the lowest first, empty ones left out."""
    command = [*engine, "history", "--no-trunc", "--format={{.Size}}\t{{.CreatedBy}}", image]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return list(layers(reversed(done.stdout.splitlines())))


def layers(lines: Iterable[str]) -> Iterator[Layer]:
    """Read lines of a size with its unit, a tab and a step."""
    for line in lines:
        size, _, step = line.partition("\t")
        found = SIZE.fullmatch(size.strip())
        if found is None:
            raise ValueError(f"no size: {line!r}")
        of_bytes = round(float(found[1]) * UNITS[found[2]])
        if of_bytes:
            text = MOUNTS.sub("", SHELL.sub("", step))
            yield Layer(of_bytes, " ".join(text.split()) or "base image")


def table(image: str, found: Sequence[Layer]) -> str:
    """Return the lines to print for one image; MB are millions of bytes."""
    lines = [f"{sum(layer.size for layer in found) / 1e6:8.1f} MB  {image}"]
    lines += [f"{layer.size / 1e6:8.1f} MB    {layer.step[:SHOWN]}" for layer in found]
    return "\n".join(lines)


def main() -> None:
    """Print the tables of the images that are named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="docker", help="docker, podman, and its own options")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    given = parser.parse_args()
    for image in given.images:
        print(table(image, history(image, shlex.split(given.engine))))


if __name__ == "__main__":
    main()

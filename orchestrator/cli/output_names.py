"""Names of the transcripts of several files, so that none is written over another or an input.

A transcript has its file's name without the extension. Where several files would get the same
name, they keep what tells them apart: their extensions, else their folders below the one that
they have in common, else both, else a number. Names are compared as file systems do that see
no difference between A and a (macOS, Windows, SMB).
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from pathlib import Path, PurePath
from unicodedata import normalize

from orchestrator.jobs.local_files import source_name

LONGEST_PART_BYTES = 200  # leaves room for an extension in a name of 255

Stems = dict[Path, str]  # by file: its transcript without extension, below the output directory


def distinct(files: Sequence[Path]) -> list[Path]:
    """The files, each once, however it was written: `a.wav` and `b/../a.wav` are one file."""
    found: dict[tuple[str, str], Path] = {}
    for path in files:
        found.setdefault((os.path.realpath(path.parent), path.name), path)
    return list(found.values())


def plain_stem(path: Path) -> str:
    """The name of a file's transcript, without extension, where nothing else has that name."""
    return _fitting(PurePath(source_name(path)).stem)


def output_stems(files: Sequence[Path], directory: Path, extensions: Sequence[str]) -> Stems:
    """The names of the transcripts of files that are distinct, without `extensions`.

    They depend on the files that are given together, and on their order only where a number
    tells them apart. Nothing is read but the name of the current directory.
    """
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        groups[_key(plain_stem(path))].append(path)
    taken = {_key(_absolute(path)) for path in files}
    stems: Stems = {}
    for group in sorted(groups.values(), key=lambda group: len(group) > 1):  # single ones first
        names = _names(group, taken, _absolute(directory), extensions)
        stems |= zip(group, names, strict=True)
    return {path: stems[path] for path in files}


def _names(
    group: list[Path], taken: set[str], directory: Path, extensions: Sequence[str]
) -> list[str]:
    """A free name for each of a group, in their order; it is then taken."""

    def outputs(stem: str) -> set[str]:
        return {_key(directory / f"{stem}.{end}") for end in extensions}

    below, stems = _folders(group), [plain_stem(path) for path in group]
    names = [_fitting(source_name(path)) for path in group]
    in_folders = [str(folder / stem) for folder, stem in zip(below, stems, strict=True)]
    with_all = [str(folder / name) for folder, name in zip(below, names, strict=True)]
    for attempt in (stems, names, in_folders, with_all):
        wanted = [outputs(name) for name in attempt]
        together = set().union(*wanted)
        if len(together) == sum(map(len, wanted)) and not together & taken:
            taken |= together
            return attempt
    numbered = []
    for stem in in_folders:
        candidates = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
        numbered.append(next(name for name in candidates if not outputs(name) & taken))
        taken |= outputs(numbered[-1])
    return numbered


def _folders(group: list[Path]) -> list[Path]:
    """Where each file is, below the folder that all have in common."""
    parents = [_absolute(path).parent for path in group]
    common = os.path.commonpath(parents)
    return [Path(*map(_fitting, parent.relative_to(common).parts)) for parent in parents]


def _absolute(path: Path) -> Path:
    """Without `..`, as it is written: a folder keeps the name by which it was given."""
    return Path(os.path.normpath(path.absolute()))


def _key(name: Path | str) -> str:
    """The same for all that some file system takes for the same name."""
    return normalize("NFC", str(name)).casefold()


def _fitting(part: str) -> str:
    whole = os.fsencode(part)
    if len(whole) <= LONGEST_PART_BYTES:
        return part
    return whole[:LONGEST_PART_BYTES].decode(errors="ignore")

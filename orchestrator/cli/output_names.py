"""Names for the transcripts of several files, so that no transcript overwrites a file.

A transcript has its file's name without the extension. Files that would get the same name
keep what tells them apart: their extensions, else their folders below their common one, else
both, else a number. Names are compared without regard to case and Unicode form, as the file
systems of macOS, Windows and SMB do.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from pathlib import Path, PurePath
from unicodedata import normalize

from orchestrator.jobs.local_files import source_name

LONGEST_PART_BYTES = 200  # a file name may have 255 bytes; this leaves room for an extension

Stems = dict[Path, str]  # file: path below the output directory, without extension


def distinct(files: Sequence[Path]) -> list[Path]:
    """Return each file once, however its path is written: `a.wav` and `b/../a.wav` are one."""
    found: dict[tuple[str, str], Path] = {}
    for path in files:
        found.setdefault((os.path.realpath(path.parent), path.name), path)
    return list(found.values())


def plain_stem(path: Path) -> str:
    """Return a transcript's name without extension, for a file whose name no other file has."""
    return _fitting(PurePath(source_name(path)).stem)


def output_stems(files: Sequence[Path], directory: Path, extensions: Sequence[str]) -> Stems:
    """Choose the transcripts' names for distinct files, without `extensions`.

    The names depend on the set of files, and on their order only where a number tells files
    apart. Reads nothing but the name of the current directory.
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
    """Choose a free name for each file of a group, in order, and add them to `taken`."""

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
    """Return each file's folder below the folder that all of them have in common."""
    parents = [_absolute(path).parent for path in group]
    common = os.path.commonpath(parents)
    return [Path(*map(_fitting, parent.relative_to(common).parts)) for parent in parents]


def _absolute(path: Path) -> Path:
    """Return the absolute path without `..`; symbolic links keep their names."""
    return Path(os.path.normpath(path.absolute()))


def _key(name: Path | str) -> str:
    """Return a form that is equal for names which some file systems treat as one."""
    return normalize("NFC", str(name)).casefold()


def _fitting(part: str) -> str:
    whole = os.fsencode(part)
    if len(whole) <= LONGEST_PART_BYTES:
        return part
    return whole[:LONGEST_PART_BYTES].decode(errors="ignore")

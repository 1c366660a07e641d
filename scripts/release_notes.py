"""Prints a version's part of CHANGELOG.md, if all that has a version has this one.

python -m scripts.release_notes v0.1.0
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def notes(changelog: str, version: str) -> str:
    """Return what stands below `## [version]`. Raises ValueError if nothing does."""
    parts = re.split(r"^## \[(.+?)\].*$", changelog, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True)).get(version, "").strip()
    if not found:
        raise ValueError(f"CHANGELOG.md has no part for {version}.")
    return found


def versions(root: Path = ROOT) -> dict[str, str]:
    """Read each version that a release must agree with, by where it stands."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = (root / "helm" / "scriptorium" / "Chart.yaml").read_text(encoding="utf-8")
    found = {"pyproject.toml": str(project["version"])}
    for name, version in re.findall(r'^(version|appVersion): "?([\w.+-]+)"?$', chart, re.MULTILINE):
        found[f"{name} of Chart.yaml"] = version
    for version in re.findall(r"^ARG VERSION=(\S+)$", (root / "Dockerfile").read_text(), re.M):
        found["VERSION of Dockerfile"] = version
    return found


def main() -> None:
    """Print the notes of the tag on the command line."""
    version = sys.argv[1].removeprefix("v")
    other = {place: found for place, found in versions().items() if found != version}
    if other:
        sys.exit(
            "\n".join(f"{place} has {found}, not {version}." for place, found in other.items())
        )
    try:
        print(notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version))
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

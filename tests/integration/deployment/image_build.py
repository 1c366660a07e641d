"""A Dockerfile's stages, built by hand: every RUN step in a shell of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests import ROOT
from tests.deployment.dockerfile import Dockerfile, Instruction, context_files, expanded
from tests.integration.deployment.containers import BORROWED, Root

PYTHON = "/opt/python"  # where the base image's Python is
PATH = f"{PYTHON}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SITE = Path("lib") / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
# In the place of pip, for the step that fetches what is in the tests' own environment already.
BORROW = f"""#!/bin/sh
case "$*" in
*--requirement*)
    test -s requirements.txt && test -s constraints.txt &&
    echo {BORROWED}/{SITE} > /opt/scriptorium/{SITE}/borrowed.pth ;;
*) exec {PYTHON}/bin/python -m pip "$@" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds each stage once, as its first user asks for it."""

    dockerfile: Dockerfile
    place: Path
    arguments: Mapping[str, str] = field(default_factory=dict)  # as --build-arg
    secrets: Mapping[str, Path] = field(default_factory=dict)  # as --secret
    borrows: bool = False  # the packages of the tests' environment: nothing large is fetched

    def image(self, target: str) -> Path:
        """What a target differs in from the base image; built if it is not yet."""
        stage = self.dockerfile.stages.get(target)
        if stage is None:
            return self._base_image()
        image = self.place / target
        if not image.exists():
            # Hard links: a step puts new files in the place of those that it changes.
            subprocess.run(["cp", "-al", self.image(stage.base), image], check=True)
            before: list[Instruction] = []
            if stage.base in self.dockerfile.stages:
                before = self.dockerfile.instructions(stage.base)
            for number, one in enumerate(stage.instructions):
                self._execute(one, [*before, *stage.instructions[:number]], image)
        return image

    def environment(self, target: str) -> dict[str, str]:
        """What a process of the image finds."""
        return self._variables(self.dockerfile.instructions(target), arguments=False)

    def _base_image(self) -> Path:
        """Another Python with pip, which other users than root can reach."""
        image = self.place / "base-image"
        if image.exists():
            return image
        image.mkdir(parents=True)
        for folder in reversed(Path(sys.base_prefix).resolve().parents):
            (image / folder.relative_to("/")).mkdir(exist_ok=True)
        (image / "tmp").mkdir(exist_ok=True)
        (image / "tmp").chmod(0o1777)
        # The tests' own environment may lie where an image sees nothing, as under /tmp.
        python = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
        self._shell(image, f"{python} -m venv {PYTHON}", {"PATH": PATH})
        if self.borrows:
            (image / BORROWED[1:]).mkdir()
            (image / PYTHON[1:] / "bin" / "pip").write_text(BORROW)
        return image

    def _execute(self, one: Instruction, before: Sequence[Instruction], image: Path) -> None:
        said = {past.word: past.value for past in before}
        directory = said.get("WORKDIR", "/")
        if one.word == "WORKDIR":
            (image / one.value[1:]).mkdir(parents=True, exist_ok=True)
        elif one.word == "COPY":
            *sources, target = one.words
            into = image / str(Path(directory, target))[1:]
            if "from" in one.options:
                self._copy_from(one.options["from"], sources[0], into)
            else:
                for source in sources:
                    _copy_context(source, into, into_directory=target.endswith("/"))
        elif one.word == "RUN":
            mounts, user = self._mounts(one), said.get("USER", "0:0")
            variables = self._variables(before)
            self._shell(image, one.value, variables, mounts, user, directory)

    def _copy_from(self, stage: str, source: str, into: Path) -> None:
        into.parent.mkdir(parents=True, exist_ok=True)
        copy = 'cp -al "$0" "$1" && chown -hR 0:0 "$1"'
        subprocess.run(["sh", "-c", copy, self.image(stage) / source[1:], into], check=True)

    def _variables(
        self, instructions: Sequence[Instruction], *, arguments: bool = True
    ) -> dict[str, str]:
        """What ENV, and for a step ARG too, have said."""
        said, given = {"PATH": PATH}, dict[str, str]()
        for one in instructions:
            if one.word == "ARG":
                given |= {name: self.arguments.get(name, text) for name, text in one.pairs.items()}
            elif one.word == "ENV":
                said |= {name: expanded(text, given | said) for name, text in one.pairs.items()}
        return given | said if arguments else said

    def _mounts(self, one: Instruction) -> dict[str, Path]:
        """What is there while a step runs; its caches are not kept here."""
        found = {}
        for mount in one.mounts:
            if mount["type"] == "bind":
                found[mount["target"]] = self.image(mount["from"]) / mount["source"][1:]
            elif mount["type"] == "secret" and mount["id"] in self.secrets:
                found[f"/run/secrets/{mount['id']}"] = self.secrets[mount["id"]]
        return found

    def _shell(
        self,
        image: Path,
        text: str,
        variables: Mapping[str, str],
        mounts: Mapping[str, Path] | None = None,
        user: str = "0:0",
        directory: str = "/",
    ) -> None:
        """One step; what it writes goes into the image. Fails with what it printed."""
        root = Root(image, self.place / ".step", writable=True, mounts=mounts or {})
        words = ["/bin/sh", "-c", text]
        own = {name: os.environ[name] for name in os.environ if name.startswith(("PIP_", "SSL_"))}
        done = subprocess.run(
            root.command(words, user=user, directory=directory),
            env={"HOME": "/root", **own, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"


def _copy_context(source: str, into: Path, *, into_directory: bool) -> None:
    """COPY of a file or of a directory's content."""
    found = [name for name in context_files() if Path(name).is_relative_to(source)]
    assert found, f"COPY {source}: there is no such thing in the build's context"
    for name in found:
        to = into / (name if into_directory else Path(name).relative_to(source))
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, to)

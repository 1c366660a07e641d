"""A Dockerfile as its stages and instructions, for the tests of images."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docker.utils import exclude_paths  # type: ignore[import-untyped]

from tests import ROOT

TARGETS = ("orchestrator", "cpu-worker", "gpu-worker", "gpu-worker-baked")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, with its flags taken off."""

    word: str
    value: str
    flags: tuple[str, ...] = ()

    @property
    def options(self) -> dict[str, str]:
        """The flags by name; of several with one name the last."""
        return dict(flag.removeprefix("--").partition("=")[::2] for flag in self.flags)

    @property
    def mounts(self) -> list[dict[str, str]]:
        """What RUN mounts, each as its fields."""
        given = [flag.partition("=")[2] for flag in self.flags if flag.startswith("--mount=")]
        return [dict(field.split("=", 1) for field in one.split(",")) for one in given]

    @property
    def words(self) -> list[str]:
        """The value in exec form, or as a shell would split it."""
        if self.value.startswith("["):
            return [str(word) for word in json.loads(self.value)]
        return shlex.split(self.value)

    @property
    def pairs(self) -> dict[str, str]:
        """Of ENV, LABEL and ARG: what is named, by name."""
        return dict(word.partition("=")[::2] for word in shlex.split(self.value))


@dataclass(frozen=True, slots=True)
class Stage:
    """From one FROM to the next."""

    name: str
    base: str  # another stage, or an image
    instructions: tuple[Instruction, ...]

    def all(self, word: str) -> list[Instruction]:
        return [one for one in self.instructions if one.word == word]


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """The stages by name, and the arguments before the first."""

    arguments: dict[str, str]
    stages: dict[str, Stage]

    def chain(self, target: str) -> list[Stage]:
        """The stages that a target is made of, from its image upwards."""
        stage = self.stages[target]
        return [*(self.chain(stage.base) if stage.base in self.stages else []), stage]

    def instructions(self, target: str) -> list[Instruction]:
        """All that make the target, in order."""
        return [one for stage in self.chain(target) for one in stage.instructions]

    def last(self, target: str, word: str) -> Instruction:
        """The one of its kind that counts."""
        return [one for one in self.instructions(target) if one.word == word][-1]

    def health_check(self, target: str) -> list[str]:
        """The command that tells whether a container of the target is healthy."""
        word, _, command = self.last(target, "HEALTHCHECK").value.partition(" ")
        assert word == "CMD"
        return [str(one) for one in json.loads(command)]

    def environment(self, target: str) -> dict[str, str]:
        """What ENV says, with values not yet expanded."""
        return {
            name: value
            for one in self.instructions(target)
            if one.word == "ENV"
            for name, value in one.pairs.items()
        }


def read_dockerfile(path: Path = ROOT / "Dockerfile") -> Dockerfile:
    """The file's stages; their FROM is expanded with the arguments' defaults."""
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    name = ""
    for one in _instructions(path.read_text(encoding="utf-8")):
        if one.word == "FROM":
            base, _, name = one.words if len(one.words) == 3 else (one.words[0], "", "")
            assert name and name not in stages, f"a stage without a name of its own: {one.value}"
            stages[name] = Stage(name, expanded(base, arguments), ())
        elif not stages:
            arguments |= one.pairs
        else:
            stage = stages[name]
            stages[name] = Stage(name, stage.base, (*stage.instructions, one))
    return Dockerfile(arguments, stages)


def expanded(text: str, values: dict[str, str]) -> str:
    """`$NAME` and `${NAME}` replaced; an unknown name is a fault."""
    return re.sub(r"\$(\w+)|\$\{(\w+)\}", lambda found: values[found[1] or found[2]], text)


def context_files() -> set[str]:
    """The files of the tree that a build can see, by what .dockerignore says."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line.strip() and not line.startswith("#")]
    return {name for name in exclude_paths(str(ROOT), patterns) if (ROOT / name).is_file()}


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        word, _, value = line.strip().partition(" ")
        flags = []
        while value.lstrip().startswith("--"):
            flag, _, value = value.lstrip().partition(" ")
            flags.append(flag)
        yield Instruction(word.upper(), value.strip(), tuple(flags))

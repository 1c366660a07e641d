"""Two sets of versions: with whisperX, and without it on the newest torch and transformers."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEPENDENCIES, EXTRAS = PROJECT["dependencies"], PROJECT["optional-dependencies"]
# What may have another version: torch, transformers, and what they are built for.
NEWER = {
    "huggingface-hub", "setuptools", "tokenizers", "torch", "torchaudio", "torchcodec",
    "transformers", "triton",
}  # fmt: skip
WHISPERX_ALONE = {"nltk", "torchvision", "whisperx"}


def versions(file: str) -> dict[str, Version]:
    """Every package's one version."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    pairs = [line.split("==") for line in lines]
    found: dict[str, Version] = {
        canonicalize_name(name): Version(version) for name, version in pairs
    }
    assert len(found) == len(lines)
    return found


def test_the_sets_differ_in_torch_and_transformers_and_in_what_they_bring() -> None:
    first, newest = versions("constraints.txt"), versions("constraints-newest.txt")
    both = first.keys() & newest.keys()
    assert {name for name in both if first[name] != newest[name]} == NEWER
    assert all(newest[name] > first[name] for name in NEWER)
    assert newest["transformers"].major >= 5
    cuda_12 = {name for name in first if re.fullmatch(r"nvidia-.+-cu12", name)}
    assert first.keys() - newest.keys() == WHISPERX_ALONE | cuda_12
    assert all(re.match("nvidia-|cuda-", name) for name in newest.keys() - first.keys())


def test_each_set_has_what_its_worker_asks_for() -> None:
    for file, extras in (
        ("constraints.txt", ("worker", "whisperx", "parakeet", "transcriber")),
        ("constraints-newest.txt", ("worker", "parakeet", "transcriber")),
    ):
        found = versions(file)
        for one in (Requirement(line) for extra in extras for line in EXTRAS[extra]):
            assert one.specifier.contains(found[canonicalize_name(one.name)]), (file, str(one))


@pytest.mark.parametrize(
    ("image", "extras"),
    [
        ("orchestrator", ("flower", "tracing")),
        ("cpu-worker", ("transcriber", "tracing")),
        ("gpu-worker", ("worker", "whisperx", "parakeet", "tracing")),
    ],
)
def test_an_image_has_the_versions_of_the_constraints_each_with_its_hashes(
    image: str, extras: tuple[str, ...]
) -> None:
    text = (ROOT / "locks" / f"{image}.txt").read_text(encoding="utf-8")
    assert "://" not in text and "--index" not in text  # no address of a package index
    entries = re.split(r"\n(?! )", text.strip())
    found: dict[str, Version] = {}
    for entry in entries:
        match = re.fullmatch(
            r"([\w.-]+)==([\w.]+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)", entry
        )
        assert match, entry
        found[canonicalize_name(match[1])] = Version(match[2])
    known = versions("constraints.txt")
    assert {name: known[name] for name in found} == found
    wanted = [*DEPENDENCIES, *(line for extra in extras for line in EXTRAS[extra])]
    assert {canonicalize_name(Requirement(line).name) for line in wanted} <= found.keys()

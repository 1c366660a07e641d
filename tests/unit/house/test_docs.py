"""The pages: they name what exists, their links lead somewhere, and their words are plain."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml
from typer.core import TyperGroup

from config.settings import Settings
from orchestrator.cli.commands import app
from tests import ROOT
from tests.unit.house.test_runbook import anchors

PACKAGES = ("config", "gpu_worker", "tasks", "orchestrator")  # each imports those before it
CLIENT = "clients/python"
DOCS = ROOT / "docs"
PROGRAM = typer.main.get_command(app)
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for place in ("*.md", "docs/*.md", ".github/*.md", "clients/*/*.md", "examples/*/*.md",
                  "helm/*/*.md", "gpu_worker/builtin/*/*.md")
    for path in sorted(ROOT.glob(place))
}  # fmt: skip
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ARCHITECTURE = PAGES["docs/architecture.md"]
FIRST_PAGES = ("README.md", "docs/command_line.md", "docs/cluster.md")
LONGEST_README = 200  # lines
VAGUE_PERSON = re.compile(r"\b(?:some|no|any)body\b|\bwhoever\b", re.IGNORECASE)
OLD_WORDS = ("CHANGELOG.md",)  # its entries stay as they were written


def prose(page: str) -> str:
    return BLOCK.sub("", PAGES[page])


def links(page: str) -> list[str]:
    """The targets that are files of the repository or places in one."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [
        target for target in targets if "://" not in target and not target.startswith("mailto:")
    ]


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", ARCHITECTURE, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def paths(text: str) -> list[str]:
    """What is written as code and looks like a file or a folder of the repository."""
    return re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:toml|txt)|Makefile)`", text)


@pytest.mark.parametrize("page", PAGES)
def test_links_and_anchors_lead_somewhere(page: str) -> None:
    for target in links(page):
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), target
        if anchor:
            there = path.resolve().relative_to(ROOT).as_posix()
            assert anchor in anchors(prose(there)), target


def test_a_wrong_anchor_would_be_found() -> None:
    assert "rabbitmq" in anchors(prose("docs/celery.md"))
    assert "rabbit" not in anchors(prose("docs/celery.md"))


def test_the_readme_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) <= LONGEST_README


def test_the_index_has_every_page() -> None:
    listed = {target.partition("#")[0] for target in links("docs/README.md")}
    assert {path.name for path in DOCS.glob("*.md")} - {"README.md"} <= listed


@pytest.mark.parametrize("page", [page for page in PAGES if page not in OLD_WORDS])
def test_a_page_says_who_does_it(page: str) -> None:
    assert VAGUE_PERSON.findall(PAGES[page]) == []


def _commands() -> Iterator[str]:
    for page in FIRST_PAGES:
        for language, block in BLOCK.findall(PAGES[page]):
            for line in block.splitlines() if language == "sh" else ():
                if line.startswith("scriptorium "):
                    yield line.partition("#")[0].removeprefix("scriptorium ").strip()


def unknown(command: str) -> list[str]:
    """The command or the options that the program does not have; quicker than to ask its help."""
    program = PROGRAM
    words = shlex.split(command)
    while isinstance(program, TyperGroup):
        if words[0] not in program.commands:
            return words[:1]
        program = program.commands[words.pop(0)]
    options = {name for param in program.params for name in param.opts}
    return [word for word in words if re.match("-.", word) and word not in options]


def test_commands_exist_with_their_options() -> None:
    commands = set(_commands())
    assert len(commands) > 20
    assert {command: wrong for command in commands if (wrong := unknown(command))} == {}


def test_a_command_or_option_that_does_not_exist_would_be_found() -> None:
    assert unknown("keys rotate ID") == ["rotate"]
    assert unknown("transcribe a.mp3 --diarise") == ["--diarise"]


@pytest.mark.parametrize("page", [*FIRST_PAGES, "SECURITY.md", "docs/settings.md"])
def test_settings_exist(page: str) -> None:
    aliases = re.findall(r"SCRIPTORIUM_[A-Z_]+", (ROOT / "config/settings.py").read_text())
    known = {f"SCRIPTORIUM_{name.upper()}" for name in Settings.model_fields} | set(aliases)
    assert set(re.findall(r"SCRIPTORIUM_[A-Z0-9_]+", PAGES[page])) <= known


def _folders() -> dict[str, str]:
    """Each folder in the tables of packages, with the cell that says what it may import."""
    rows = re.findall(r"^\| `([\w/]+)` \| [^|]+ \|(?: (.*?) ?\|)$", ARCHITECTURE, re.MULTILINE)
    return dict(rows)


def _may_import(folder: str) -> set[str]:
    package = folder.partition("/")[0]
    return {f"{package}/{name}" for name in re.findall(r"`([\w/]+)`", _folders()[folder])}


def _modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }


MODULES = _modules()


def folder_of(module: str) -> str:
    return MODULES[module].parent.relative_to(ROOT).as_posix()


def imported(path: Path) -> Iterator[str]:
    """The modules of ours that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_every_folder_has_a_line_and_no_other() -> None:
    folders = {
        path.parent.relative_to(ROOT).as_posix()
        for package in (*PACKAGES, CLIENT)
        for path in (ROOT / package).rglob("__init__.py")
    }
    assert set(_folders()) == folders | {CLIENT}


@pytest.mark.parametrize("folder", sorted({folder_of(name) for name in MODULES}))
def test_a_folder_imports_what_its_line_allows(folder: str) -> None:
    allowed = _may_import(folder)
    assert {name for name in allowed if not (ROOT / name).is_dir()} == set()
    before = PACKAGES[: PACKAGES.index(folder.partition("/")[0])]
    wrong = {
        f"{module} imports {name}"
        for module, path in MODULES.items()
        if folder_of(module) == folder
        for name in imported(path)
        if name in MODULES
        if (there := f"{folder_of(name)}/").partition("/")[0] not in before
        if not f"{folder}/".startswith(there)  # the folder, and those that it lies in
        if not there.startswith(tuple(f"{place}/" for place in (folder, *allowed)))
    }
    assert wrong == set()


@pytest.mark.parametrize(
    "title",
    ["Follow a job through the files", *re.findall(r"^## (How to add .*)$", ARCHITECTURE, re.M)],
)
def test_the_files_to_read_or_to_touch_exist(title: str) -> None:
    named = paths(section(title))
    assert len(named) >= 4
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_there_is_a_way_to_add_each_kind_of_thing() -> None:
    titles = set(re.findall(r"^## How to add (.*)$", ARCHITECTURE, re.MULTILINE))
    things = ("a stage", "an engine", "an aligner", "an output format", "a way in", "a metric")
    assert titles == set(things)


TESTS = sorted(set(re.findall(r"`([\w/]*test_\w+\.py)(?:::(\w+))?`", PAGES["docs/reliability.md"])))


@pytest.mark.parametrize(("name", "test"), TESTS, ids=str)
def test_the_test_of_a_promise_exists(name: str, test: str) -> None:
    found = [
        path for path in (ROOT / "tests").rglob("*.py") if path.as_posix().endswith(f"/{name}")
    ]
    assert len(found) == 1, found
    assert f"def {test}" in found[0].read_text(encoding="utf-8")


def test_pre_commit_runs_the_commands_of_make_lint() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (local,) = config["repos"]
    assert local["repo"] == "local"
    assert [hook["entry"] for hook in local["hooks"]] == commands
    assert all(hook["language"] == "system" for hook in local["hooks"])
    assert not any(hook["pass_filenames"] for hook in local["hooks"])


@pytest.mark.parametrize("form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml")))
def test_an_issue_form_asks_for_something(form: Path) -> None:
    """As GitHub's schema of issue forms wants it: a name, a description, fields with labels."""
    fields = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert fields["name"]
    assert fields["description"]
    asked = [part for part in fields["body"] if part["type"] in ("textarea", "input")]
    assert len({part["id"] for part in asked}) == len(asked) >= 2
    assert all(part["attributes"]["label"] for part in asked)
    assert any(part.get("validations", {}).get("required") for part in asked)

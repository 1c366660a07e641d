"""The runbook: a section for each alert, and commands, settings and log events that exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from config.settings import Settings
from orchestrator.cli.commands import app
from tests import ROOT
from tests.deployment.alerts import ALERTS

PAGE = ROOT / "docs" / "operations.md"
TEXT = PAGE.read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
PACKAGES = ("config", "gpu_worker", "tasks", "orchestrator")


def _commands() -> Iterator[str]:
    """What follows the program's name wherever it is called, in a block or in a sentence."""
    sentences = re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in BLOCKS for line in block.splitlines()]
    for text in (*lines, *re.findall(r"`([^`\n]+)`", sentences)):
        found = re.search(r"(?<![\w/.-])scriptorium (.*)", text.partition("#")[0])
        if found:
            yield found[1].rstrip("| ")


COMMANDS = sorted(set(_commands()))


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def section(title: str) -> str:
    found = re.search(rf"^### {title}\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def events_table() -> str:
    return TEXT[TEXT.index("| event |") : TEXT.index("## Alerts")]


def test_every_alert_has_a_section_and_every_such_section_an_alert() -> None:
    assert sorted(re.findall(r"^### (Scriptorium\w+)$", TEXT, re.MULTILINE)) == sorted(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_a_section_says_what_it_means_where_to_look_and_what_to_do(alert: str) -> None:
    assert re.findall(r"^\*\*(\w+)\.\*\*", section(alert), re.MULTILINE) == ["Means", "Look", "Do"]


@pytest.mark.parametrize("rule", ALERTS.values(), ids=ALERTS)
def test_an_alert_links_to_its_section(rule: dict[str, dict[str, str]]) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert ROOT / page == PAGE
    assert anchor in anchors(TEXT)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        page, _, anchor = target.partition("#")
        path = (PAGE.parent / page) if page else PAGE
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text()), target


def test_there_are_commands_to_check() -> None:
    known = {"doctor", "load", "list --all-tenants", "dead-letters --all-tenants", "status JOB"}
    assert known <= set(COMMANDS)


def exit_status(command: str) -> int:
    """0 if there are such a command and such options; nothing is run, as only help is asked for."""
    return CliRunner().invoke(app, [*shlex.split(command), "--help"]).exit_code


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_exists_with_its_options(command: str) -> None:
    assert exit_status(command) == 0


@pytest.mark.parametrize("command", ["lod", "load --jsn", "keys rotate ID"])
def test_a_command_that_does_not_exist_would_be_found(command: str) -> None:
    assert exit_status(command) == 2


def test_settings_exist() -> None:
    known = {f"SCRIPTORIUM_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"SCRIPTORIUM_[A-Z_]+", TEXT)) <= known


def test_log_events_are_written_by_somebody() -> None:
    code = "".join(
        path.read_text() for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    )
    table = re.findall(r"^\| (`.+?`) \|", events_table(), re.MULTILINE)
    events = {name for cell in table for name in re.findall(r"`(\w+)`", cell)}
    assert len(events) > 10
    assert {name for name in events if f'"{name}"' not in code} == set()

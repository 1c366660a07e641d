"""Hostile names on the command line: an exit status and a sentence, no traceback, nothing run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.faults.conftest import Figure
from tests.integration.ways_in.test_command_line import Shell

NAMES = (
    "--help-me", "; touch pwned", "$(touch pwned)", "`touch pwned`", "|touch pwned", "a\nb.wav",
    "x" * 4000, "concat:a|b", "file:///etc/shadow", "http:x", "%d.wav", "\u202egnp.wav",
    "\x1b[2J.wav", "../../../../etc/shadow", "", "[red]x[/red]", "\udcff.wav",
)  # fmt: skip
COMMANDS = (
    ("transcribe", "--", "{}"),
    ("submit", "--", "{}"),
    ("status", "--", "{}"),
    ("get", "--", "{}"),
    ("models", "pull", "--", "{}"),
)


@pytest.mark.heavy
@pytest.mark.fault(
    f"{len(NAMES)} hostile names for files, jobs and models on the command line",
    "each ends with a status above 0 and a sentence, without a traceback, and runs nothing",
)
def test_hostile_names_are_refused_in_a_sentence(tmp_path: Path, figure: Figure) -> None:
    shell, wrong, number = Shell(tmp_path), [], 0
    for index, name in enumerate(NAMES):
        # A name meets two of the commands, and so each command meets several names.
        for command in (COMMANDS[index % len(COMMANDS)], COMMANDS[(index + 1) % len(COMMANDS)]):
            ended = shell.run(*(part.format(name) for part in command))
            number += 1
            told = ended.stdout + ended.stderr
            if ended.returncode not in (1, 2, 3, 4) or "Traceback" in told or not told.strip():
                wrong.append(f"{command[0]} {name[:30]!r}: {ended.returncode} {told[-300:]}")
            if "\x1b[2J" in told:
                wrong.append(f"{command[0]} {name[:30]!r}: clears the screen")
    figure(f"{number} commands with hostile names, {len(wrong)} of them ended wrongly")
    assert wrong == []
    assert not list(tmp_path.rglob("pwned"))

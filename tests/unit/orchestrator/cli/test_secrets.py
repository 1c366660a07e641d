"""Secrets that commands are given, and what is said of those on a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_worker.errors import InvalidOption
from orchestrator.cli.secrets import hub_token, warn_of_password


def test_a_token_comes_from_a_file_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("hf_secret\n")
    token = hub_token("another", tmp_path / "token")
    assert token is not None and token.get_secret_value() == "hf_secret"
    assert hub_token(None, None) is None
    assert capsys.readouterr().err == ""


def test_a_token_on_the_command_line_works_with_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    token = hub_token("hf_secret", None)
    assert token is not None and token.get_secret_value() == "hf_secret"
    told = capsys.readouterr().err
    assert "--hf-token-file" in told and "hf_secret" not in told


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_a_file_without_a_token_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(InvalidOption, match="--hf-token-file"):
        hub_token(None, tmp_path / "token")


@pytest.mark.parametrize(
    ("url", "warns"),
    [
        ("redis://:hunter2@host:6379/0", True),
        ("redis://user:hunter2@host", True),
        ("redis://[:hunter2@host", True),
        ("redis://host:6379/0", False),
        ("unix:///run/redis.sock", False),
    ],
)
def test_a_password_in_an_address_gets_a_warning(
    url: str, warns: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    warn_of_password("--redis-url", url, "REDIS_URL")
    told = capsys.readouterr().err
    assert ("REDIS_URL" in told) is warns
    assert "hunter2" not in told

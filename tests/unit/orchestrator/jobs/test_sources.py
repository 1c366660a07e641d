"""What submitters may name, and what people see of it."""

from __future__ import annotations

from typing import Any

import pytest

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access import SourceNotAllowed
from orchestrator.jobs.sources import display_name, named_source
from tasks.web.addresses import AddressNotAllowed


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {"allow_urls": True, "source_buckets": "calls, archive"}
    return Settings(**(values | changes))


@pytest.mark.parametrize(
    ("address", "url", "name"),
    [
        ("s3://calls/in/a b+ü.wav", None, "a b+ü.wav"),
        ("S3://archive/x.wav", "s3://archive/x.wav", "x.wav"),
        ("s3://calls/100%.wav", None, "100%.wav"),
        ("s3://calls/50%20off.wav", None, "50%20off.wav"),
        ("s3://calls/wait...what?.wav#1", None, "wait...what?.wav#1"),
        ("https://example.com/in/a%20b.wav?token=secret", None, "a b.wav"),
        ("HTTPS://Example.com/a b.wav", "https://example.com/a%20b.wav", "a b.wav"),
        ("https://example.com", "https://example.com/", "audio"),
        ("https://example.com/in/", None, "in"),
    ],
)
def test_an_address_becomes_a_source_with_a_name(address: str, url: str | None, name: str) -> None:
    source = named_source(settings(), address)
    assert (source.url, source.name, source.artifact) == (url or address, name, None)


def test_a_name_may_be_given() -> None:
    assert named_source(settings(), "s3://calls/0001.wav", "Talk.wav").name == "Talk.wav"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("talk.wav", "talk.wav"),
        ("C:\\calls\\talk.wav", "talk.wav"),
        ("a/b/", "b"),
        ("Bildschirm\u202f1.wav", "Bildschirm 1.wav"),
        ("a\u202egpj.wav", "agpj.wav"),
        ("a\r\nb\x00.wav", "a  b.wav"),
        ("录音.wav", "录音.wav"),
        ("", "audio"),
        ("..", "audio"),
        ("\x00", "audio"),
        ("x" * 300, "x" * 255),
    ],
)
def test_a_name_is_the_last_part_in_one_harmless_line(text: str, name: str) -> None:
    assert display_name(text) == name


@pytest.mark.parametrize(
    ("address", "changes", "kind", "word"),
    [
        ("s3://other/a.wav", {}, SourceNotAllowed, "'other'"),
        ("s3://calls/a.wav", {"source_buckets": ""}, SourceNotAllowed, "'calls'"),
        ("s3://calls/a/../b.wav", {}, SourceNotAllowed, "key"),
        ("s3://calls", {}, SourceNotAllowed, "key"),
        ("https://example.com/a", {"allow_urls": False}, SourceNotAllowed, "web addresses"),
        ("http://example.com/a", {}, AddressNotAllowed, "over https"),
        ("https://10.0.0.1/a", {}, AddressNotAllowed, "not a public address"),
        ("/etc/passwd", {}, InvalidOption, "neither"),
        ("file:///etc/passwd", {}, InvalidOption, "neither"),
    ],
)
def test_a_refusal_says_what_is_wrong(
    address: str, changes: dict[str, Any], kind: type[Exception], word: str
) -> None:
    with pytest.raises(kind, match=word):
        named_source(settings(**changes), address)


@pytest.mark.parametrize(
    ("store", "key", "allowed"),
    [
        ("s3://calls/own", "own/tenants/other/sources/ab", False),
        ("s3://calls/own/", "own", False),
        ("s3://calls/own", "owner/a.wav", True),
        ("s3://calls/a%20b", "a b/x.wav", False),
        ("S3://calls/own", "own/x.wav", False),
        ("s3://calls", "anything.wav", False),
        ("s3://calls/", "anything.wav", False),
        ("s3://archive/own", "own/a.wav", True),
        ("file:///own", "own/a.wav", True),
        (None, "own/a.wav", True),
    ],
)
def test_the_cluster_s_own_artifacts_are_no_sources(
    store: str | None, key: str, allowed: bool
) -> None:
    values = settings(store_url=store)
    if allowed:
        assert named_source(values, f"s3://calls/{key}").url == f"s3://calls/{key}"
    else:
        with pytest.raises(SourceNotAllowed, match="own artifacts"):
            named_source(values, f"s3://calls/{key}")


def test_a_trusted_host_is_accepted_without_tls() -> None:
    for name in ("trusted_source_hosts", "trusted_hosts"):
        source = named_source(settings(**{name: "minio:9000"}), "http://minio:9000/calls/a.wav")
        assert source.url == "http://minio:9000/calls/a.wav"


def test_a_host_that_is_trusted_for_webhooks_is_no_source() -> None:
    with pytest.raises(AddressNotAllowed):
        named_source(settings(trusted_webhook_hosts="hooks:80"), "http://hooks:80/admin")

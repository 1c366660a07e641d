"""Which objects become jobs, and which files of rules are refused and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import Settings
from orchestrator.triggers.rules import InvalidRules, Rules, read_rules
from tasks.runs.manifest import Output
from tests import ROOT

SETTINGS = Settings(tenant="acme", model="fake", store_url="s3://artifacts/scriptorium")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rules.toml"


def read(path: Path, text: str, settings: Settings = SETTINGS) -> Rules:
    path.write_text(text, encoding="utf-8")
    return read_rules(path, settings)


def test_a_rule_says_everything_about_its_objects(path: Path) -> None:
    text = """
        [[rule]]
        bucket = "in"
        prefix = "calls/"
        suffix = [".wav", ".mp3"]
        tenant = "other"
        output = "s3://out/transcripts"
        formats = ["json", "srt"]
        webhook_url = "https://example.org/done"
        [rule.options]
        language = "German"
        beam_size = 5
        [rule.metadata]
        team = "sales"
    """
    (rule,) = read(path, text, SETTINGS.model_copy(update={"allow_urls": True})).rules
    assert (rule.tenant, rule.options.language, rule.options.beam_size) == ("other", "de", 5)
    assert (rule.options.model, rule.metadata) == ("fake", {"team": "sales"})
    assert rule.webhook_url == "https://example.org/done"
    assert rule.output == "s3://out/transcripts/"


def test_the_manuals_example_is_valid(path: Path) -> None:
    manual = ROOT / "docs" / "triggers.md"
    example = manual.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    first, second = read(path, example, SETTINGS.model_copy(update={"allow_urls": True})).rules
    output = first.output_of("calls/2024/a.wav")
    assert output is not None
    assert output.url == "s3://transcripts/calls/2024/a.wav"
    assert (second.prefix, second.tenant, second.output) == ("meetings/", "acme", None)


def test_a_rule_needs_only_a_bucket(path: Path) -> None:
    rules = read(path, '[[rule]]\nbucket = "in"')
    rule = rules.rule_for("in", "any/thing.ogg")
    assert rule is not None
    assert (rule.tenant, rule.options.model, rule.formats) == ("acme", "fake", ("json",))
    assert rule.output_of("any/thing.ogg") is None
    assert rules.rule_for("other", "any/thing.ogg") is None


def test_the_first_rule_that_fits_wins(path: Path) -> None:
    rules = read(
        path,
        """
        [[rule]]
        bucket = "in"
        prefix = "calls/vip/"
        suffix = ".wav"
        tenant = "vip"
        [[rule]]
        bucket = "in"
        prefix = "calls/"
        tenant = "rest"
        """,
    )
    found = {
        key: (rule.tenant if (rule := rules.rule_for("in", key)) else None)
        for key in ("calls/vip/a.wav", "calls/vip/a.WAV", "calls/a.wav", "other/a.wav")
    }
    assert list(found.values()) == ["vip", "rest", "rest", None]


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("calls/a.wav", "s3://out/t/a.wav"),
        ("calls/2024/ü b+%.mp3", "s3://out/t/2024/ü b+%.mp3"),
        ("calls/", "s3://out/t/"),
    ],
)
def test_a_transcript_keeps_the_name_below_the_prefix_with_its_extension(
    path: Path, key: str, url: str
) -> None:
    (rule,) = read(path, '[[rule]]\nbucket = "in"\nprefix = "calls/"\noutput = "s3://out/t/"').rules
    assert rule.output_of(key) == Output(url=url, formats=("json",))


def test_a_rule_for_one_object_names_its_transcript_after_it(path: Path) -> None:
    (rule,) = read(
        path, '[[rule]]\nbucket = "in"\nprefix = "calls/a.wav"\noutput = "s3://out"'
    ).rules
    assert rule.output_of("calls/a.wav") == Output(url="s3://out/a.wav", formats=("json",))


A_RULE = '[[rule]]\nbucket = "in"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"has no \[\[rule\]\]"),
        ("rule = 1", "tables only"),
        ("rule = [1]", "tables only"),
        ("x = 1\n" + A_RULE, "tables only"),
        ("[[rule]", "not TOML"),
        ("[[rule]]", "Rule 1 is not valid: bucket: Field required"),
        (A_RULE + '[[rule]]\nbucket = "not a bucket"', "Rule 2 is not valid: bucket"),
        (A_RULE + 'colour = "red"', "Rule 1 is not valid: colour"),
        (A_RULE + "suffix = 1", "Rule 1 is not valid: suffix"),
        (A_RULE + 'tenant = "No Such"', "Rule 1 is not valid: tenant"),
        (A_RULE + 'output = "/tmp"', "Rule 1 is not valid: output: '/tmp' is not s3://"),
        (A_RULE + 'formats = ["pdf"]', "Rule 1 is not valid: formats: There is no transcript"),
        (A_RULE + "formats = []", "Rule 1 is not valid: formats"),
        (A_RULE + "options = 1", "Rule 1: Options are not valid"),
        (A_RULE + "[rule.options]\nbeam_size = 0", "Rule 1: Options are not valid: beam_size"),
        (A_RULE + '[rule.options]\nmodel = "no-such"', "Rule 1: .*no-such"),
        (A_RULE + '[rule.options]\ndiarize_model = "me/mine"', "Rule 1: .*me/mine"),
        (A_RULE + 'webhook_url = "https://example.org"', "Rule 1: Webhooks are not sent here"),
        (A_RULE + "metadata = {a = 1}", "Rule 1 is not valid: metadata.a"),
    ],
)
def test_a_mistake_is_told_with_the_number_of_its_rule(path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidRules, match=said):
        read(path, text)


def test_a_webhook_goes_to_a_public_host(path: Path) -> None:
    settings = SETTINGS.model_copy(update={"allow_urls": True})
    with pytest.raises(InvalidRules, match="Rule 1: "):
        read(path, A_RULE + 'webhook_url = "http://127.0.0.1/"', settings)
    trusting = settings.model_copy(update={"trusted_hosts": "127.0.0.1"})
    assert read(path, A_RULE + 'webhook_url = "http://127.0.0.1/"', trusting).rules


def test_a_file_that_cannot_be_read_is_named(path: Path) -> None:
    with pytest.raises(InvalidRules, match=r"rules\.toml cannot be read: No such file"):
        read_rules(path, SETTINGS)
    path.write_bytes(b"\xff")
    with pytest.raises(InvalidRules, match="not TOML"):
        read_rules(path, SETTINGS)


def a_rule(bucket: str, prefix: str, suffix: str, output: str = "", formats: str = "json") -> str:
    text = f'[[rule]]\nbucket = "{bucket}"\nprefix = "{prefix}"\nsuffix = "{suffix}"\n'
    return text + (f'output = "{output}"\nformats = ["{formats}"]\n' if output else "")


@pytest.mark.parametrize(
    "text",
    [
        a_rule("in", "", "", "s3://in"),
        a_rule("in", "", "", "s3://in/t/"),
        a_rule("in", "t/", "", "s3://in/"),
        a_rule("in", "t/deep/er/", "", "s3://in/t/"),
        a_rule("in", "calls/", ".json", "s3://in/calls/"),
        a_rule("in", "calls/", "on", "s3://in/calls/"),
        a_rule("in", "", ".wav", "s3://out/") + a_rule("out", "", "", "s3://in/t/"),
        a_rule("in", "", ".wav", "s3://out/", "srt") + a_rule("out", "x/", ".srt"),
        a_rule("in", "", ".wav", "s3://out/", "srt") + a_rule("out", "x/", ".json"),
    ],
)
def test_a_rule_that_would_transcribe_transcripts_is_refused(path: Path, text: str) -> None:
    with pytest.raises(InvalidRules, match=r"Rule \d .* rule \d .* would take its transcripts"):
        read(path, text)


@pytest.mark.parametrize(
    "text",
    [
        a_rule("in", "", "", "s3://out/"),
        a_rule("in", "calls/", "", "s3://in/t/"),
        a_rule("in", "calls/", ".wav", "s3://in/calls/"),
        a_rule("in", "calls/", ".wav.json", "s3://in/calls/"),
        a_rule("in", "calls/", ".mp3.json", "s3://out/") + a_rule("out", "", ".wav.json"),
        a_rule("in", "", ".wav", "s3://out/", "srt") + a_rule("out", "", ".vtt"),
    ],
)
def test_a_rule_whose_transcripts_fit_no_rule_is_taken(path: Path, text: str) -> None:
    assert read(path, text).rules


def test_transcripts_beside_the_audio_are_no_objects_of_another_rule(path: Path) -> None:
    text = a_rule("in", "calls/", ".wav", "s3://in/calls/") + a_rule("in", "calls/", ".mp3.json")
    rules = read(path, text)
    assert rules.rule_for("in", "calls/a.wav") is rules.rules[0]
    assert rules.rule_for("in", "calls/a.wav.json") is None
    assert rules.rule_for("in", "calls/a.mp3.json") is None  # may be one of the first rule's


def test_our_own_artifacts_are_never_recordings(path: Path) -> None:
    rules = read(path, a_rule("artifacts", "", ""))
    assert rules.rule_for("artifacts", "scriptorium/tenants/acme/sources/ab") is None
    assert rules.rule_for("artifacts", "scriptorium-calls/a.wav") is rules.rules[0]


@pytest.mark.parametrize(
    ("store_url", "text", "said"),
    [
        ("s3://artifacts", a_rule("artifacts", "calls/", ".wav"), "nothing but our own artifacts"),
        ("s3://bb/store", a_rule("bb", "store/tenants/", ""), "nothing but our own artifacts"),
        ("s3://bb/store", a_rule("in", "", "", "s3://bb/store/t/"), "among our own artifacts"),
        ("s3://bb/store", a_rule("in", "", "", "s3://bb/"), "among our own artifacts"),
    ],
)
def test_rules_keep_out_of_the_store(path: Path, store_url: str, text: str, said: str) -> None:
    with pytest.raises(InvalidRules, match=f"Rule 1 .*{said}"):
        read(path, text, Settings(model="fake", store_url=store_url))


def test_a_store_in_a_directory_is_in_nobodys_way(path: Path) -> None:
    settings = Settings(model="fake", store_url="file:///somewhere")
    assert read(path, a_rule("in", "", "", "s3://out/"), settings).store is None

"""The rules of an operator's TOML file: which objects become jobs. The first rule that fits wins.

The whole file is checked when it is read, so that no object is refused because of a mistake in
it, and no transcript can become the source of another job.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from config.settings import TENANT_PATTERN, Settings
from gpu_worker.assembly.formats import format_named
from gpu_worker.errors import InvalidOption, ScriptoriumError
from orchestrator.jobs.options import accepted_options
from orchestrator.jobs.ready_by import ReadyWithin
from orchestrator.jobs.requests import Labels
from orchestrator.outbox.outputs import ERROR_EXTENSION
from orchestrator.triggers.places import BucketPrefix
from tasks.runs.manifest import Output
from tasks.runs.option_values import Record
from tasks.runs.options import JobOptions
from tasks.runs.submitted_options import job_options
from tasks.web.addresses import AddressPolicy

_BUCKET = r"^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$"


class InvalidRules(InvalidOption):
    """The file of trigger rules is not valid."""

    code = "invalid_rules"
    hint = "docs/triggers.md describes the file."


class Rule(Record):
    """One kind of object, and the job to make of it."""

    bucket: str = Field(pattern=_BUCKET)
    prefix: str = ""
    suffix: tuple[str, ...] = ("",)  # the key ends with one of these
    tenant: str = Field(pattern=TENANT_PATTERN)
    output: str | None = None  # s3://bucket/prefix/
    formats: tuple[str, ...] = Field(default=("json",), min_length=1)
    options: JobOptions
    webhook_url: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict, max_length=16)
    labels: Labels = Field(default_factory=dict)
    ready_by: ReadyWithin | None = None  # seconds from when the object's event is taken

    @field_validator("suffix", mode="before")
    @classmethod
    def _several(cls, suffix: object) -> object:
        return [suffix] if isinstance(suffix, str) else suffix or [""]

    @field_validator("output")
    @classmethod
    def _folder(cls, output: str | None) -> str | None:
        return None if output is None else BucketPrefix.of_url(output).url

    @field_validator("formats")
    @classmethod
    def _known(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(dict.fromkeys(format_named(name).name for name in formats))
        except InvalidOption as error:
            raise ValueError(f"{error.message} {error.advice}") from error

    @property
    def source(self) -> BucketPrefix:
        """The place of the objects; its prefix is as the file has it."""
        return BucketPrefix(self.bucket, self.prefix)

    @property
    def target(self) -> BucketPrefix | None:
        """The place of the transcripts."""
        return None if self.output is None else BucketPrefix.of_url(self.output)

    @property
    def extensions(self) -> tuple[str, ...]:
        """The extensions of the files that a job of this rule may write."""
        return (*(format_named(name).extension for name in self.formats), ERROR_EXTENSION)

    def fits(self, bucket: str, key: str) -> bool:
        """Return whether an object is of this kind."""
        return self.source.holds(bucket, key) and key.endswith(self.suffix)

    def writes(self, bucket: str, key: str) -> bool:
        """Return whether an object may be a transcript of this rule."""
        target = self.target
        return target is not None and target.holds(bucket, key) and key.endswith(self.extensions)

    def output_of(self, key: str) -> Output | None:
        """Return where an object's transcript goes: its key below the prefix, extension and all."""
        below = key.removeprefix(self.prefix).lstrip("/") or key.rpartition("/")[2]
        return (
            None if self.output is None else Output(url=self.output + below, formats=self.formats)
        )

    def feeds(self, other: Rule) -> bool:
        """Return whether a transcript of this rule could be an object of the other rule."""
        target = self.target
        if target is None or target.bucket != other.bucket:
            return False
        if not _one_begins(target.prefix, other.prefix):
            return False
        ends = [suffix + extension for suffix in self.suffix for extension in self.extensions]
        return any(_one_ends(end, suffix) for end in ends for suffix in other.suffix)

    def __str__(self) -> str:
        return self.source.url


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a file, and the place of the cluster's artifacts."""

    rules: tuple[Rule, ...]
    store: BucketPrefix | None = None

    def rule_for(self, bucket: str, key: str) -> Rule | None:
        """Return the first rule that fits; None for objects that the cluster has written itself."""
        if self.store is not None and self.store.holds(bucket, key):
            return None
        if any(rule.writes(bucket, key) for rule in self.rules):
            return None
        return next((rule for rule in self.rules if rule.fits(bucket, key)), None)


def read_rules(path: Path, settings: Settings) -> Rules:
    """Read the rules of a file. Raises InvalidRules with a sentence that names the rule."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRules(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InvalidRules(f"{path} is not TOML: {error}.") from error
    tables = data.pop("rule", [])
    if data or not isinstance(tables, list) or not all(isinstance(item, dict) for item in tables):
        raise InvalidRules(f"{path} may hold [[rule]] tables only.")
    if not tables:
        raise InvalidRules(f"{path} has no [[rule]].")
    rules = tuple(_rule(number, table, settings) for number, table in enumerate(tables, 1))
    store = BucketPrefix.of_store(settings.store_url)
    _refuse_loops(rules, store)
    return Rules(rules, store)


def _rule(number: int, table: dict[str, Any], settings: Settings) -> Rule:
    try:
        given = table.get("options", {})
        if not isinstance(given, dict):
            raise InvalidRules("Options are not valid: write them as [rule.options].")
        options = accepted_options(job_options(given), settings)
        rule = Rule.model_validate({"tenant": settings.tenant} | table | {"options": options})
        if rule.webhook_url is not None:
            _check_webhook(rule.webhook_url, settings)
        return rule
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        message = f"{place}: {first['msg'].removeprefix('Value error, ')}."
        raise InvalidRules(f"Rule {number} is not valid: {message}") from error
    except ScriptoriumError as error:
        raise InvalidRules(f"Rule {number}: {error.message}", hint=error.advice) from error


def _check_webhook(url: str, settings: Settings) -> None:
    if not settings.allow_urls:
        raise InvalidRules("Webhooks are not sent here.", hint="Set SCRIPTORIUM_ALLOW_URLS=true.")
    AddressPolicy.of(settings.webhook_hosts).parse(url)


def _refuse_loops(rules: Sequence[Rule], store: BucketPrefix | None) -> None:
    for number, rule in enumerate(rules, 1):
        if store is not None and store.holds(rule.bucket, rule.prefix):
            raise InvalidRules(
                f"Rule {number} ({rule}) names nothing but our own artifacts in {store.url}.",
                hint="Give the recordings another bucket, or the store a prefix of its own.",
            )
        if store is not None and rule.target and _overlap(store, rule.target):
            raise InvalidRules(
                f"Rule {number} ({rule}) would write among our own artifacts in {store.url}.",
                hint="Give its output another bucket or prefix.",
            )
        for other_number, other in enumerate(rules, 1):
            if rule.feeds(other):
                raise InvalidRules(
                    f"Rule {number} ({rule}) writes to {rule.output}, and rule {other_number} "
                    f"({other}) would take its transcripts for recordings.",
                    hint="Write to another bucket or prefix, or give that rule a suffix.",
                )


def _overlap(one: BucketPrefix, other: BucketPrefix) -> bool:
    return one.bucket == other.bucket and _one_begins(one.prefix, other.prefix)


def _one_begins(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _one_ends(one: str, other: str) -> bool:
    return one.endswith(other) or other.endswith(one)

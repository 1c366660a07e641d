"""A vocabulary: the words of a tenant, and how its transcripts are written.

A job names it, and has a copy of the version that it was accepted with in its own folder. So
a retry writes the same, and the vocabulary may be changed or deleted meanwhile.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from gpu_worker.writing.phrases import ENDING
from gpu_worker.writing.rules import NumberForm, WritingRules
from gpu_worker.writing.tokens import tokens_of
from gpu_worker.writing.writer import Writer
from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.runs import vocabulary_keys
from tasks.runs.json_artifacts import read_record
from tasks.runs.manifest import Manifest
from tasks.runs.option_values import LONGEST_HOTWORDS, Record

# Written as one line of text, and compared without its case.
Phrase = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$"
    ),
]
HotWord = Annotated[Phrase, StringConstraints(pattern=r"^[^,\x00-\x1f\x7f]*$")]
MOST_HOT_WORDS = 200
MOST_REPLACEMENTS = 1000
MOST_MASKED = 1000


class Vocabulary(Record):
    """Hot words, replacements, masked words, and how numbers are written."""

    hot_words: tuple[HotWord, ...] = Field(
        default=(),
        max_length=MOST_HOT_WORDS,
        description="Names and terms that the model is to expect.",
    )
    replacements: dict[Phrase, Phrase] = Field(
        default_factory=dict,
        max_length=MOST_REPLACEMENTS,
        description="By what is heard: what is written instead. Whole words, in any case.",
    )
    masked: tuple[Phrase, ...] = Field(
        default=(),
        max_length=MOST_MASKED,
        description="Words to cover; damn*: all that begin so.",
    )
    mask_style: Literal["first_letter", "all"] = Field(
        default="first_letter", description="d*** or ****."
    )
    numbers: NumberForm = Field(
        default="as_heard",
        description="digits: twenty-five is written 25; words: 25 is written twenty-five; in "
        "eight languages.",
    )
    digits_from: int = Field(
        default=10,
        ge=0,
        le=1_000_000,
        strict=True,
        description="digits: below it a number that stands alone stays in words.",
    )
    keep_spoken: bool = Field(
        default=True, strict=True, description="Keep what was heard, as `spoken`, in JSON."
    )

    @model_validator(mode="after")
    def _has_sounds(self) -> Self:
        for phrase in (*self.replacements, *self.masked):
            if not tokens_of(phrase.removesuffix(ENDING)):
                raise ValueError(f"{phrase!r} has no letter or digit, so it is never heard")
        return self

    def writer(self, task: str) -> Writer:
        """Return what writes the texts of a job; a translation is in English."""
        rules = WritingRules(
            replacements=tuple(self.replacements.items()),
            masked=self.masked,
            mask_style=self.mask_style,
            numbers=self.numbers,
            digits_from=self.digits_from,
            keeps_spoken=self.keep_spoken,
        )
        return Writer(rules, "en" if task == "translate" else None)

    def expected(self, own: str | None) -> str | None:
        """Return the hot words for the engine: a job's own ones first, as many as have room."""
        room = LONGEST_HOTWORDS
        found: list[str] = []
        for word in (own or "", *self.hot_words):
            if word.strip() and len(word) <= room:
                found.append(word)
                room -= len(word) + 2
        return ", ".join(found) or None


def vocabulary_of(store: ArtifactStore, manifest: Manifest) -> Vocabulary | None:
    """Return the vocabulary that a job was accepted with.

    None if it named none, or if its copy is gone. Raises UnreadableRecord.
    """
    named = manifest.options.vocabulary
    if named is None:
        return None
    try:
        key = vocabulary_keys.copy(manifest.tenant, manifest.job, named)
        return read_record(store, key, Vocabulary.of_artifact)
    except ArtifactMissing:
        return None

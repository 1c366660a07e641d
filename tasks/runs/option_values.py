"""The kinds of values that options and records have."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """A frozen pydantic model that refuses unknown fields, NaN and infinity.

    Submissions are read so. What was accepted before is read by `of_artifact`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def of_artifact(cls, data: Any) -> Self:
        """Read a record as it was written; ignore the fields of a later release, nested ones too.

        Raises pydantic.ValidationError, a ValueError, for a value that this release does not know.
        """
        return cls.model_validate(data, extra="ignore")


Name = Annotated[str, Field(pattern=r"^[^\s/\\\x00-\x1f][^\x00-\x1f]{0,62}$")]
# A model's name, directory or repository; the hub allows 96 characters for each of its two parts.
ModelName = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
VocabularyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w-]{0,62}(@[1-9][0-9]{0,5})?$")]
Revision = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][\w.-]{0,99}$")
]  # no path of the hub's address
LanguageName = Annotated[str, Field(max_length=64)]
# A token id; the engine compares it with its own vocabulary. Whisper's have 51,866 at most.
TokenId = Annotated[int, Field(ge=-1, lt=1_000_000)]
LONGEST_HOTWORDS = 2_000  # characters
SUPPRESSED_TOKENS = 1_000  # Whisper's own list of non-speech symbols has about 90


class KnownSpeaker(Record):
    """A speaker with a name, given by a clip of a few seconds in which only this voice speaks."""

    name: Name  # as it is written into the transcript
    clip: str = Field(pattern=r"^[0-9a-f]{64}$")  # sha256 of the file, which is in the store


ComputeType = Literal[
    "default", "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16",
    "int16", "float16", "bfloat16", "float32",
]  # fmt: skip

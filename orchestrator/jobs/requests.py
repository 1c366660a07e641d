"""The fields of a submission, the same for HTTP and for Celery messages."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from orchestrator.jobs.ready_by import ReadyBy
from tasks.runs.options import JobOptions

METADATA_ENTRIES = 16
# JSON can hold what a store, a log line or a header cannot: NUL and other control characters.
PLAIN_TEXT = r"^[^\x00-\x1f\x7f]*$"

Text = Annotated[str, StringConstraints(max_length=255, min_length=1, pattern=PLAIN_TEXT)]
Address = Annotated[str, StringConstraints(max_length=2048, min_length=1, pattern=PLAIN_TEXT)]
MetadataKey = Annotated[str, StringConstraints(max_length=64, min_length=1, pattern=PLAIN_TEXT)]
MetadataValue = Annotated[str, StringConstraints(max_length=512, pattern=PLAIN_TEXT)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=METADATA_ENTRIES)]
LABELS = 10
# No colon and no equals sign, so that `key:value` and `key=value` can be read.
LABEL_KEY = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$"
LabelKey = Annotated[str, StringConstraints(pattern=LABEL_KEY)]
LabelValue = Annotated[str, StringConstraints(max_length=100, min_length=1, pattern=PLAIN_TEXT)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=LABELS)]
UploadId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{23}$")]


class Body(BaseModel):
    """A frozen model that refuses unknown fields, infinities and NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class JobRequest(Body):
    """A submission: `source` or `upload_id`, with options, metadata and a webhook."""

    source: Address | None = Field(None, description="s3://bucket/key or https://host/path.")
    upload_id: UploadId | None = Field(None, description="Id of an upload whose file was sent.")
    name: Text | None = Field(None, description="Name of the file, for display.")
    options: JobOptions = Field(default_factory=JobOptions)
    metadata: Metadata = Field(
        default_factory=dict, description="Your own values; returned as sent."
    )
    labels: Labels = Field(
        default_factory=dict,
        description="Up to 10 short texts, such as a project: jobs can be listed and their usage "
        "summed by them. They stay in usage records when the job is deleted.",
    )
    webhook_url: Address | None = Field(None, description="Called when the job has ended.")
    ready_by: ReadyBy | None = Field(
        None, description="When it should be ready: a time with its zone, or seconds from now."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.source is None) == (self.upload_id is None):
            raise ValueError("exactly one of source and upload_id must be given")
        return self


class FormRequest(Body):
    """The fields of a form besides its file."""

    name: Text | None = None
    options: JobOptions = Field(default_factory=JobOptions)
    metadata: Metadata = Field(default_factory=dict)
    labels: Labels = Field(default_factory=dict)
    webhook_url: Address | None = None
    ready_by: ReadyBy | None = None

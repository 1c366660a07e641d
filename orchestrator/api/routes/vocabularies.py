"""The vocabularies of a tenant over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from orchestrator.api.authentication import CurrentCluster, Reader, Writer
from orchestrator.api.replies import error_replies
from orchestrator.jobs import vocabularies
from orchestrator.jobs.vocabularies import Named, Version
from tasks.runs.vocabulary import Vocabulary

router = APIRouter(
    prefix="/v1/vocabularies",
    tags=["vocabularies"],
    responses=error_replies(400, 401, 403, 422, 500, 503),
)


class VocabularyVersion(BaseModel):
    """One version of a vocabulary."""

    name: str
    version: int
    reference: str = Field(description="For the option `vocabulary`, such as legal@3.")
    vocabulary: Vocabulary

    @classmethod
    def of(cls, found: Version) -> VocabularyVersion:
        """Make the reply."""
        return cls(
            name=found.name,
            version=found.number,
            reference=found.reference,
            vocabulary=found.content,
        )


class VocabularyName(BaseModel):
    """A vocabulary by its name."""

    name: str
    version: int = Field(description="The newest.")
    versions: list[int]

    @classmethod
    def of(cls, named: Named) -> VocabularyName:
        """Make an item of the list."""
        return cls(name=named.name, version=named.newest, versions=list(named.versions))


class VocabularyList(BaseModel):
    """All vocabularies of a tenant."""

    data: list[VocabularyName]


@router.get("")
def list_vocabularies(cluster: CurrentCluster, caller: Reader) -> VocabularyList:
    """List the names of the tenant's vocabularies, with their versions."""
    found = vocabularies.list_vocabularies(cluster.store, caller.tenant)
    return VocabularyList(data=[VocabularyName.of(named) for named in found])


@router.get("/{vocabulary}", responses=error_replies(404))
def show_vocabulary(
    vocabulary: str,
    cluster: CurrentCluster,
    caller: Reader,
    version: Annotated[int | None, Query(ge=1, le=999_999, description="Unset: newest.")] = None,
) -> VocabularyVersion:
    """Show a vocabulary: its newest version, or another one."""
    asked = vocabulary if version is None else f"{vocabulary}@{version}"
    found = vocabularies.vocabulary_version(cluster.store, caller.tenant, asked)
    return VocabularyVersion.of(found)


@router.put("/{vocabulary}", responses=error_replies(404, 409, 413))
def put_vocabulary(
    vocabulary: str, content: Vocabulary, cluster: CurrentCluster, caller: Writer
) -> VocabularyVersion:
    """Write a vocabulary, as a new version if it is another one than the newest."""
    put = vocabularies.put_vocabulary(cluster.store, caller.tenant, vocabulary, content)
    return VocabularyVersion.of(put)


@router.delete("/{vocabulary}", status_code=204, responses=error_replies(404))
def delete_vocabulary(vocabulary: str, cluster: CurrentCluster, caller: Writer) -> None:
    """Delete a vocabulary with all its versions; jobs keep the version that they have."""
    vocabularies.delete_vocabulary(cluster.store, caller.tenant, vocabulary)

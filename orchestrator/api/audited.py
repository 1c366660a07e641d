"""Which requests enter the audit trail, under which action, and how important they are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a request is kept."""

    LASTING = "lasting"  # it removes or admits: written before the reply
    CHANGE = "change"  # written with the next batch
    CONTENTS = "contents"  # it reads text, audio or a secret
    OTHER_READ = "other read"  # it reads names and states


@dataclass(frozen=True, slots=True)
class Audited:
    """A request that enters the audit trail."""

    action: str
    kind: Kind


ACTIONS = {
    "POST /v1/jobs": Audited("job.submit", Kind.CHANGE),
    "GET /v1/jobs": Audited("job.list", Kind.OTHER_READ),
    "GET /v1/jobs/{job}": Audited("job.show", Kind.OTHER_READ),
    "DELETE /v1/jobs/{job}": Audited("job.delete", Kind.LASTING),
    "POST /v1/jobs/{job}/cancel": Audited("job.cancel", Kind.CHANGE),
    "POST /v1/jobs/{job}/retry": Audited("job.retry", Kind.CHANGE),
    "POST /v1/jobs/{job}/rerun": Audited("job.rerun", Kind.CHANGE),
    "GET /v1/jobs/{job}/events": Audited("job.watch", Kind.CONTENTS),
    "GET /v1/jobs/{job}/transcript": Audited("job.export", Kind.CONTENTS),
    "GET /v1/jobs/{job}/subtitle-report": Audited("job.show", Kind.OTHER_READ),
    "GET /v1/jobs/{job}/audio": Audited("job.hear", Kind.CONTENTS),
    "HEAD /v1/jobs/{job}/audio": Audited("job.hear", Kind.OTHER_READ),
    "GET /v1/jobs/{job}/speakers": Audited("speakers.show", Kind.CONTENTS),
    "PUT /v1/jobs/{job}/speakers": Audited("speakers.rename", Kind.CHANGE),
    "GET /v1/jobs/{job}/corrections": Audited("corrections.show", Kind.CONTENTS),
    "PUT /v1/jobs/{job}/corrections": Audited("corrections.change", Kind.CHANGE),
    "GET /v1/vocabularies": Audited("vocabulary.list", Kind.OTHER_READ),
    "GET /v1/vocabularies/{vocabulary}": Audited("vocabulary.show", Kind.CONTENTS),
    "PUT /v1/vocabularies/{vocabulary}": Audited("vocabulary.put", Kind.CHANGE),
    "DELETE /v1/vocabularies/{vocabulary}": Audited("vocabulary.delete", Kind.LASTING),
    "POST /v1/collections": Audited("collection.submit", Kind.CHANGE),
    "GET /v1/collections": Audited("collection.list", Kind.OTHER_READ),
    "GET /v1/collections/{collection}": Audited("collection.show", Kind.OTHER_READ),
    "GET /v1/collections/{collection}/lines": Audited("collection.show", Kind.OTHER_READ),
    "DELETE /v1/collections/{collection}": Audited("collection.delete", Kind.LASTING),
    "POST /v1/collections/{collection}/cancel": Audited("collection.cancel", Kind.CHANGE),
    "POST /v1/collections/{collection}/retry": Audited("collection.retry", Kind.CHANGE),
    "GET /v1/usage": Audited("usage.show", Kind.OTHER_READ),
    "POST /v1/uploads": Audited("upload.announce", Kind.CHANGE),
    "PUT /v1/uploads/{upload}": Audited("upload.put", Kind.CHANGE),
    "POST /v1/audio/transcriptions": Audited("job.submit", Kind.CHANGE),
    "POST /v1/audio/translations": Audited("job.submit", Kind.CHANGE),
    "GET /v1/webhooks/secret": Audited("webhook_secret.show", Kind.CONTENTS),
    "GET /v1/admin/keys": Audited("key.list", Kind.OTHER_READ),
    "POST /v1/admin/keys": Audited("key.create", Kind.LASTING),
    "DELETE /v1/admin/keys/{key}": Audited("key.revoke", Kind.LASTING),
    "GET /v1/admin/dead-letters": Audited("dead_letters.list", Kind.OTHER_READ),
    "POST /v1/session": Audited("session.open", Kind.CHANGE),
}


def is_kept(kind: Kind, reads: str) -> bool:
    """Tell whether a request of this kind is kept; `reads`: the setting `audit_reads`."""
    if kind is Kind.CONTENTS:
        return reads != "none"
    return kind is not Kind.OTHER_READ or reads == "all"

"""Translate S3's errors: either the request may be tried again, or an operator must act.

The codes are those of Amazon's "Error responses" page and of stores that speak its protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)

from gpu_worker.errors import DiskFull, ScriptoriumError, StoreRefused, StoreUnavailable
from tasks.artifacts import ArtifactMissing

_CREDENTIALS = (
    "S3 did not accept the credentials for bucket {bucket!r}",
    "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the machine's role.",
)
_ACCESS = (
    "Access to bucket {bucket!r} was denied",
    "Allow these credentials s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject, "
    "s3:DeleteObject and s3:AbortMultipartUpload on what is in it.",
)
_BUCKET = (
    "There is no bucket {bucket!r}",
    "Create it, or correct the store's URL or its endpoint.",
)
_REGION = (
    "Bucket {bucket!r} is in another region",
    "Set AWS_DEFAULT_REGION to the bucket's region.",
)
_CLOCK = ("S3 refused bucket {bucket!r}, as this machine's clock is wrong", "Set the clock.")
_UNABLE = (
    "The store of bucket {bucket!r} cannot do what Scriptorium needs",
    "Use a store with conditional writes (If-None-Match), such as Amazon S3.",
)
_OTHER = ("S3 refused a request for bucket {bucket!r}", StoreRefused.hint)

_REFUSALS = {
    "NoSuchBucket": _BUCKET,
    "InvalidBucketName": _BUCKET,
    "AccessDenied": _ACCESS,
    "AllAccessDisabled": _ACCESS,
    "403": _ACCESS,  # HEAD has no body to say more
    "InvalidAccessKeyId": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "ExpiredToken": _CREDENTIALS,
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "301": _REGION,
    "RequestTimeTooSkewed": _CLOCK,
    "NotImplemented": _UNABLE,
}
_MISSING = {"NoSuchKey", "NotFound", "404"}
# Below 500, but temporary: busy, interrupted, damaged on the way.
_PASSING = {
    *("SlowDown", "Throttling", "ThrottlingException", "TooManyRequests", "RequestTimeout"),
    *("ConditionalRequestConflict", "OperationAborted", "IncompleteBody", "BadDigest", "429"),
    "NoSuchUpload",  # the bucket's clean-up deleted an unfinished multipart upload
}
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, ProfileNotFound)


@contextmanager
def s3_faults(bucket: str, key: str = "") -> Iterator[None]:
    """Turn botocore's errors into this project's, which name the bucket.

    Raises `ArtifactMissing`, `StoreRefused`, `StoreUnavailable` or `DiskFull`.
    """
    try:
        yield
    except ClientError as error:
        if code_of(error) in _MISSING:
            raise ArtifactMissing(key) from None
        raise _from_reply(error, bucket) from error
    except _NO_CREDENTIALS as error:
        raise _refused(_CREDENTIALS, bucket, str(error)) from error
    except ParamValidationError as error:
        raise _refused(_BUCKET, bucket, str(error)) from error
    except (BotoCoreError, HTTPClientError) as error:
        raise StoreUnavailable(f"Bucket {bucket!r} cannot be reached: {error}") from error


def code_of(error: ClientError) -> str:
    """Return S3's error code, or the HTTP status if the reply has none."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _from_reply(error: ClientError, bucket: str) -> ScriptoriumError:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    reason = f"{code}: {error.response.get('Error', {}).get('Message', '')}".strip(": ")
    if code in _REFUSALS:
        return _refused(_REFUSALS[code], bucket, reason)
    if status == 507:  # MinIO's
        return DiskFull(f"There is no space left in bucket {bucket!r} ({reason}).")
    if status >= 500 or code in _PASSING:
        return StoreUnavailable(f"Bucket {bucket!r} cannot be used now ({reason}).")
    return _refused(_OTHER, bucket, reason)


def _refused(sentence_and_hint: tuple[str, str], bucket: str, reason: str) -> StoreRefused:
    sentence, hint = sentence_and_hint
    return StoreRefused(f"{sentence.format(bucket=bucket)} ({reason}).", hint=hint)

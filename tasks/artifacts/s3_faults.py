"""Translate S3's errors: either the fault passes by itself, or an operator must act.

`StoreUnavailable`: busy, throttled, interrupted, or refused for a moment (a token that is being
renewed, a clock that is being set). `StoreRefused`: no bucket, no permission, no credentials. In a
worker neither is a fault of the unit; `tasks/execution/retries.py` says how long it waits. The
codes are those of Amazon's "Error responses" page and of stores that speak its protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
from tasks.artifacts import ArtifactMissing, StoreUnsupported

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
_KEY = (
    "The encryption key of bucket {bucket!r} cannot be used",
    "Enable the key, and allow these credentials kms:Decrypt and kms:GenerateDataKey on it.",
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
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "301": _REGION,
}
# Refused now, but credentials are renewed and clocks are set without an operator.
_SOON_ACCEPTED = {
    "ExpiredToken": _CREDENTIALS,
    "ExpiredTokenException": _CREDENTIALS,
    "TokenRefreshRequired": _CREDENTIALS,
    "400": _CREDENTIALS,  # to HEAD, which has no body to say more; an expired token is one
    "RequestTimeTooSkewed": _CLOCK,
    "RequestExpired": _CLOCK,
}
_PERHAPS_ACCEPTED = {"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_MISSING = {"NoSuchKey", "NotFound", "404"}
# Below 500, but temporary: busy, interrupted, damaged on the way.
_PASSING = {
    *("SlowDown", "Throttling", "ThrottlingException", "TooManyRequests", "RequestTimeout"),
    *("ThrottledException", "RequestThrottled", "RequestThrottledException", "429"),
    *("RequestLimitExceeded", "BandwidthLimitExceeded", "PriorRequestNotComplete", "408"),
    *("ConditionalRequestConflict", "OperationAborted", "IncompleteBody", "BadDigest"),
    *("XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"),
    "NoSuchUpload",  # the bucket's clean-up deleted an unfinished multipart upload
}
_KMS = "KMS."  # a fault of the service that has the bucket's encryption key
_KMS_REFUSALS = {  # all its other codes are throttling and outages
    *("AccessDeniedException", "DisabledException", "NotFoundException"),
    *("InvalidStateException", "KMSInvalidStateException", "InvalidKeyUsageException"),
}
REFUSED_ATTEMPTS = 3  # of a request that is refused, or throttled in a way that boto3 does not know
_REFUSED_PAUSE_SECONDS = 0.1  # before the second; doubles
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


def pause_before_next(response: Any = None, attempts: int = 1, **_: Any) -> float | None:
    """Return the seconds after which boto3 sends a refused request again, or None.

    boto3 repeats what is throttled and lost, and nothing that is refused. One refusal in a
    thousand would then fail each try of a unit that reads a thousand artifacts.
    """
    if response is None or attempts >= REFUSED_ATTEMPTS:
        return None
    code = str(response[1].get("Error", {}).get("Code", ""))
    if code in _SOON_ACCEPTED or code in _PERHAPS_ACCEPTED or code.startswith(_KMS):
        return _REFUSED_PAUSE_SECONDS * 2.0 ** (attempts - 1)
    return None


def code_of(error: ClientError) -> str:
    """Return S3's error code, or the HTTP status if the reply has none."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _from_reply(error: ClientError, bucket: str) -> ScriptoriumError:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    # Some stores send an empty text, which boto3 reads as None.
    reason = f"{code}: {error.response.get('Error', {}).get('Message') or ''}".strip(": ")
    if code in _SOON_ACCEPTED:
        sentence, hint = _SOON_ACCEPTED[code]
        return StoreUnavailable(f"{sentence.format(bucket=bucket)} ({reason}).", hint=hint)
    if code == "NotImplemented":
        return StoreUnsupported(
            f"The store of bucket {bucket!r} cannot do what Scriptorium needs ({reason})."
        )
    if code in _REFUSALS:
        return _refused(_REFUSALS[code], bucket, reason)
    if status == 507:  # MinIO's
        return DiskFull(f"There is no space left in bucket {bucket!r} ({reason}).")
    if status >= 500 or code in _PASSING or _kms_passes(code):
        return StoreUnavailable(f"Bucket {bucket!r} cannot be used now ({reason}).")
    return _refused(_KEY if code.startswith(_KMS) else _OTHER, bucket, reason)


def _kms_passes(code: str) -> bool:
    return code.startswith(_KMS) and code.removeprefix(_KMS) not in _KMS_REFUSALS


def _refused(sentence_and_hint: tuple[str, str], bucket: str, reason: str) -> StoreRefused:
    sentence, hint = sentence_and_hint
    return StoreRefused(f"{sentence.format(bucket=bucket)} ({reason}).", hint=hint)

"""Messages as S3, SNS, EventBridge and MinIO write them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

ETAG, SEQUENCER = "9dd4e461", "0055AED6"


def raw(bucket: str, key: str, name: str = "ObjectCreated:Put") -> str:
    """Amazon S3's own."""
    item = {"key": quote_plus(key), "size": 1, "eTag": ETAG, "sequencer": SEQUENCER}
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": name,
        "s3": {"bucket": {"name": bucket}, "object": item},
    }
    return json.dumps({"Records": [record]})


def minio(bucket: str, key: str, name: str = "s3:ObjectCreated:Put") -> str:
    """MinIO's: the same with two fields on top."""
    record: dict[str, Any] = json.loads(raw(bucket, key, name))
    return json.dumps({"EventName": name, "Key": f"{bucket}/{key}", **record})


def sns(body: str) -> str:
    """A message that came through a topic of SNS."""
    return json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": body})


def event_bridge(bucket: str, key: str, kind: str = "Object Created") -> str:
    """A message that came through EventBridge, which does not encode keys."""
    item = {"key": key, "size": 1, "etag": ETAG, "version-id": "null", "sequencer": SEQUENCER}
    detail = {"version": "0", "bucket": {"name": bucket}, "object": item}
    return json.dumps({"version": "0", "detail-type": kind, "source": "aws.s3", "detail": detail})

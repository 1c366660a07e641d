"""What a message says of objects, in every form that it comes in."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.triggers.events import MalformedEvent, ObjectEvent, created_objects
from tests.inputs.event_bodies import event_bridge, minio, raw, sns

KEYS = [
    "calls/a.wav",
    "calls/a b.wav",
    "calls/a+b.wav",
    "calls/50%.wav",
    "calls/%2Fé ü+漢字.wav",
    "calls/😀&=?#.wav",
    "calls/line\nbreak.wav",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("wrap", [raw, minio, event_bridge])
def test_a_key_is_read_as_it_is_in_the_bucket(wrap: Any, key: str) -> None:
    assert created_objects(wrap("in", key)) == (
        ObjectEvent("in", key, None, "9dd4e461", "0055AED6"),
    )


@pytest.mark.parametrize("key", KEYS)
def test_a_wrapped_message_says_what_it_says_unwrapped(key: str) -> None:
    for body in (raw("in", key), event_bridge("in", key)):
        assert created_objects(sns(body)) == created_objects(sns(sns(body))) != ()
        assert created_objects(sns(body)) == created_objects(body)


def test_a_percent_encoded_space_is_a_space_too() -> None:
    body = raw("in", "x").replace('"x"', json.dumps(quote("calls/a b.wav")))
    assert created_objects(body)[0].key == "calls/a b.wav"


def test_versions_and_quoted_etags_are_read() -> None:
    record = json.loads(raw("in", "a.wav"))
    record["Records"][0]["s3"]["object"] |= {"versionId": "v7", "eTag": '"quoted"'}
    assert created_objects(json.dumps(record))[0] == ObjectEvent(
        "in", "a.wav", "v7", "quoted", "0055AED6"
    )


def test_a_message_may_be_about_many_objects() -> None:
    first, second = (json.loads(raw("in", key))["Records"] for key in ("a.wav", "b.wav"))
    body = json.dumps({"Records": first + second}).encode()
    assert [event.key for event in created_objects(body)] == ["a.wav", "b.wav"]


@pytest.mark.parametrize("name", ["Put", "Post", "Copy", "CompleteMultipartUpload"])
@pytest.mark.parametrize("before", ["", "s3:"])
def test_every_way_to_create_an_object_counts(before: str, name: str) -> None:
    assert created_objects(raw("in", "a.wav", f"{before}ObjectCreated:{name}"))


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "in"}),
        sns(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "in"})),
        raw("in", "a.wav", "ObjectRemoved:Delete"),
        raw("in", "a.wav", "s3:ObjectAccessed:Head"),
        event_bridge("in", "a.wav", "Object Deleted"),
        event_bridge("in", "a.wav", "Object Tags Added"),
        '{"Records": []}',
    ],
)
def test_what_is_no_creation_is_about_no_object(body: str) -> None:
    assert created_objects(body) == ()


def without(*path: Any) -> str:
    """A raw message with one part taken out."""
    message: Any = json.loads(raw("in", "a.wav"))
    part = message
    for name in path[:-1]:
        part = part[name]
    del part[path[-1]]
    return json.dumps(message)


@pytest.mark.parametrize(
    "body",
    [
        *("", "hello", "[]", "null", '"text"', "1", "{}", '{"Records": {}}', '{"Records": [1]}'),
        b"\xff\xfe\x00",
        pytest.param("[" * 100_000, id="deep"),
        without("Records", 0, "s3"),
        without("Records", 0, "eventName"),
        without("Records", 0, "s3", "bucket"),
        without("Records", 0, "s3", "bucket", "name"),
        without("Records", 0, "s3", "object"),
        without("Records", 0, "s3", "object", "key"),
        raw("in", "x").replace('"x"', '""'),
        raw("in", "x").replace('"x"', '"%FF"'),
        raw("in", "x").replace('"x"', "7"),
        sns("not JSON"),
        '{"Type": "Notification"}',
        '{"Type": "SubscriptionConfirmation"}',
        sns(sns(sns(sns(raw("in", "a.wav"))))),
        '{"detail-type": "Object Created"}',
        '{"detail-type": "Object Created", "detail": {"object": {"key": "a"}}}',
    ],
)
def test_what_is_no_event_is_refused(body: str | bytes) -> None:
    with pytest.raises(MalformedEvent) as refused:
        created_objects(body)
    assert refused.value.code == "malformed_event"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["Records", "s3", "object", "bucket", "key", "name", "eventName", "Type", "Message",
             "detail-type", "detail", "Event"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_any_json_gives_objects_or_is_refused(message: Any) -> None:
    try:
        found = created_objects(json.dumps(message))
    except MalformedEvent:
        return
    assert all(event.bucket and event.key for event in found)


@given(st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_any_key_survives_its_way(key: str) -> None:
    assert quote_plus(key) in raw("in", key)
    assert {created_objects(wrap("in", key))[0].key for wrap in (raw, minio, event_bridge)} == {key}

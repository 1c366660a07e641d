"""Lists of sources: what is read of them, and how a bad line is named."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gpu_worker.errors import InvalidOption
from orchestrator.collections.lists import checked_lines, read_list
from orchestrator.collections.records import read_lines, write_lines

COMMON = {"model": "fake", "language": "en"}


def test_a_csv_has_sources_options_and_metadata_by_columns() -> None:
    text = b'source,language,num_speakers,diarize,metadata.order\ns3://a/1.wav,de,2,true,7\n"s3://a/b,c.wav",,,,\n'
    first, second = read_list(text, "calls.CSV", COMMON)
    assert (first.number, first.source, first.metadata) == (2, "s3://a/1.wav", {"order": "7"})
    assert first.options == {"language": "de", "num_speakers": "2", "diarize": "true"}
    options = first.job_options(COMMON)
    assert (options.language, options.num_speakers, options.diarize) == ("de", 2, True)
    assert (second.number, second.source, second.options) == (3, "s3://a/b,c.wav", {})
    assert second.job_options(COMMON).language == "en"


def test_a_csv_without_a_head_is_a_column_of_sources() -> None:
    found = read_list(b"\xef\xbb\xbfs3://a/1.wav\r\n\r\ns3://a/2.wav\r\n", "list.csv", {})
    assert [(line.number, line.source) for line in found] == [
        (1, "s3://a/1.wav"),
        (3, "s3://a/2.wav"),
    ]


def test_a_line_says_when_it_should_be_ready() -> None:
    (line,) = read_list(b"source,ready_by\ns3://a/1.wav,in 2 h\n", "list.csv", COMMON)
    assert line.ready_by == pytest.approx(time.time() + 7200, abs=60)
    assert line.options == {}
    (line,) = read_list(b'{"source": "s3://a/1.wav", "ready_by": 60}', "list.jsonl", COMMON)
    assert line.ready_by == pytest.approx(time.time() + 60, abs=50)
    assert read_lines("list", write_lines([line])) == [line]


@pytest.mark.parametrize("head", [b"source,colour", b"source,source"])
def test_a_csv_with_an_unknown_column_is_refused_as_a_whole(head: bytes) -> None:
    with pytest.raises(InvalidOption):
        read_list(head + b"\ns3://a/1.wav,x\n", "list.csv", {})


def test_json_lines_are_objects_or_addresses() -> None:
    text = b'{"source": "s3://a/1.wav", "options": {"language": "de"}}\n"s3://a/2.wav"\n'
    first, second = read_list(text, "list.jsonl", COMMON)
    assert (first.source, first.options) == ("s3://a/1.wav", {"language": "de"})
    assert (second.number, second.source) == (2, "s3://a/2.wav")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"{", "unreadable_line"),
        (b"\xff\xfe", "unreadable_line"),
        (b"7", "unreadable_line"),
        (b"[" * 5000, "unreadable_line"),
        (b'{"name": "a"}', "unreadable_line"),
        (b'{"source": "s3://a/1", "colour": "red"}', "unreadable_line"),
        (b'{"source": "s3://a/1", "options": []}', "unreadable_line"),
        (b'{"source": "s3://a/1", "options": 7}', "unreadable_line"),
        (b'{"source": "s3://a/1", "webhook_url": "https://a.example/"}', "unreadable_line"),
        (b'{"source": "s3://a/1", "ready_by": "soon"}', "unreadable_line"),
        (b'{"source": "s3://a/1", "ready_by": "2020-01-01T00:00:00Z"}', "ready_by_passed"),
        (b'{"source": "s3://a/1", "options": {"beam_size": "x"}}', "invalid_option"),
        (b'{"source": "s3://a/1", "options": {"language": "zz"}}', "invalid_option"),
    ],
)
def test_a_bad_line_is_named_and_stops_no_other(text: bytes, code: str) -> None:
    found = read_list(b'"s3://a/1.wav"\n' + text + b'\n"s3://a/3.wav"', "list.jsonl", COMMON)
    assert [line.number for line in found if line.error is None] == [1, 3]
    bad = found[1]
    assert bad.error is not None
    assert (bad.number, bad.error["code"]) == (2, code)


def test_a_quote_that_is_not_closed_spoils_its_own_line_only() -> None:
    found = read_list(b'source,language\n"s3://a/1.wav,en\ns3://a/2.wav,en\n', "list.csv", {})
    assert [line.error is None for line in found] == [False, True]


def test_the_lines_of_a_request_are_numbered_from_one() -> None:
    first, second = checked_lines(["s3://a/1.wav", {"upload_id": "a" * 23, "name": "x"}], {})
    assert (first.number, first.source) == (1, "s3://a/1.wav")
    assert (second.number, second.upload_id, second.shown) == (2, "a" * 23, "x")


@given(some.binary(max_size=200), some.sampled_from(["a.csv", "a.jsonl"]))
def test_any_bytes_are_lines_that_can_be_written_and_read_again(data: bytes, name: str) -> None:
    try:
        found = read_list(data, name, COMMON)
    except InvalidOption:
        return
    assert [line.number for line in read_lines("list", write_lines(found))] == [
        it.number for it in found
    ]

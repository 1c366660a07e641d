"""OpenAI's own Python client against a cluster of real workers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import SecretStr

from gpu_worker.builtin import SAMPLE
from tests import DATA
from tests.integration.cluster import TENANT, ClusterUnderTest, quick_settings
from tests.servers.api import serving

KEY = "a-key-for-the-tests"
CONVERSATION = DATA / "conversation.ogg"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterUnderTest]:
    home = tmp_path_factory.mktemp("cluster")
    settings = quick_settings(home, model="pico", api_key=SecretStr(KEY))
    with ClusterUnderTest(settings, workers=2) as started:
        yield started


@pytest.fixture(scope="module")
def address(cluster: ClusterUnderTest) -> Iterator[str]:
    with serving(cluster.connection) as found:
        yield f"{found}/v1"


@pytest.fixture
def client(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=address, api_key=KEY, max_retries=0, timeout=120) as opened:
        yield opened


def transcribe(client: openai.OpenAI, path: Path = SAMPLE, **asked: Any) -> Any:
    return client.audio.transcriptions.create(file=path, **{"model": "whisper-1", **asked})


def test_every_format_tells_the_same_text(client: openai.OpenAI) -> None:
    plain = transcribe(client)
    assert "good morning" in plain.text
    assert plain.usage.type == "duration" and plain.usage.seconds > 60
    assert transcribe(client, response_format="text") == f"{plain.text}\n"
    subtitles = transcribe(client, response_format="srt")
    assert subtitles.startswith("1\n00:00:0") and "good morning" in subtitles
    assert transcribe(client, response_format="vtt").startswith("WEBVTT\n\n00:00:0")

    verbose = transcribe(
        client, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert (verbose.language, verbose.text) == ("english", plain.text)
    assert 0 <= plain.usage.seconds - verbose.duration < 1
    assert " ".join(segment.text.strip() for segment in verbose.segments) == plain.text
    assert [word.word for word in verbose.words] == plain.text.split()
    assert all(word.start < word.end <= verbose.duration + 1 for word in verbose.words)


@pytest.mark.heavy
def test_two_speakers_are_told_apart(client: openai.OpenAI) -> None:
    found = transcribe(client, model="gpt-4o-transcribe-diarize", response_format="diarized_json")
    assert {segment.speaker for segment in found.segments} == {"A", "B"}
    assert found.segments[0].speaker == "A"
    assert " ".join(segment.text for segment in found.segments) == found.text
    told = transcribe(
        client,
        model="gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        chunking_strategy={"type": "server_vad", "threshold": 0.5},
        stream=True,
    )
    *events, done = list(told)
    segments = [event for event in events if event.type == "transcript.text.segment"]
    assert [segment.speaker for segment in segments] == [it.speaker for it in found.segments]
    assert done.text == found.text


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # so the client calls it
def test_a_reply_names_its_job_and_a_translation_is_one(
    client: openai.OpenAI, cluster: ClusterUnderTest
) -> None:
    raw = client.audio.translations.with_raw_response.create(
        file=("rede.ogg", SAMPLE.read_bytes()), model="whisper-1", response_format="verbose_json"
    )
    found = raw.parse()
    assert found.language == "english" and "good morning" in found.text
    job = cluster.connection.job(TENANT, raw.headers["X-Scriptorium-Job"])
    assert (job.status, job.name) == ("completed", "rede.ogg")
    assert cluster.connection.records.manifest(TENANT, job.id).options.task == "translate"


def test_text_is_told_while_later_chunks_still_run(
    client: openai.OpenAI, cluster: ClusterUnderTest
) -> None:
    raw = client.audio.transcriptions.with_raw_response.create(
        file=CONVERSATION,
        model="fake-5x",
        language="en",
        stream=True,
        extra_body={"chunk_seconds": 10, "aligner": "cross_attention"},
    )
    job = raw.headers["X-Scriptorium-Job"]
    first: tuple[str, float] | None = None
    pieces = []
    for event in raw.parse():
        if event.type == "transcript.text.delta":
            pieces.append(event.delta)
            seen = cluster.connection.job(TENANT, job)
            first = first or (seen.status, seen.progress)
    assert event.type == "transcript.text.done"
    assert (
        event.text
        == "".join(pieces)
        == cluster.connection.result(TENANT, job)["transcript"]["text"]
    )
    assert len(pieces) > 10
    print(f"\nthe first of {len(pieces)} deltas came when the job was {first}")
    assert first is not None and first[0] == "processing" and first[1] < 0.6


def test_what_is_wrong_is_raised_as_openai_raises_it(
    client: openai.OpenAI, address: str, tmp_path: Path
) -> None:
    stranger = openai.OpenAI(base_url=address, api_key="wrong", max_retries=0)
    with stranger, pytest.raises(openai.AuthenticationError):
        transcribe(stranger)
    with pytest.raises(openai.NotFoundError) as missing:
        transcribe(client, model="gpt-7")
    assert (missing.value.code, missing.value.param) == ("unknown_model", "model")
    with pytest.raises(openai.BadRequestError) as wrong:
        transcribe(client, temperature=7)
    assert (wrong.value.code, wrong.value.param) == ("invalid_option", "temperature")
    with pytest.raises(openai.BadRequestError, match="'colour'"):
        transcribe(client, extra_body={"colour": "red"})
    with pytest.raises(openai.BadRequestError) as logprobs:
        transcribe(client, include=["logprobs"])
    assert logprobs.value.param == "include"

    garbage = tmp_path / "garbage.wav"
    garbage.write_bytes(bytes(range(256)) * 64)
    with pytest.raises(openai.BadRequestError) as unreadable:
        transcribe(client, garbage)
    assert unreadable.value.code == "unreadable_audio"
    with pytest.raises(openai.APIError, match="cannot be read") as streamed:
        list(transcribe(client, garbage, stream=True))
    assert streamed.value.code == "unreadable_audio"


def test_models_are_listed(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert {"whisper-1", "pico", "large-v3"} <= set(names)
    assert client.models.retrieve("large-v3").owned_by == "Systran"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-7")


def test_the_asynchronous_client_works_too(address: str) -> None:
    async def both() -> list[str]:
        async with openai.AsyncOpenAI(base_url=address, api_key=KEY, max_retries=0) as client:
            create = client.audio.transcriptions.create
            plain = await create(file=SAMPLE, model="whisper-1")
            stream = await create(file=SAMPLE, model="whisper-1", stream=True)
            pieces = [it.delta async for it in stream if it.type == "transcript.text.delta"]
            return [plain.text, "".join(pieces)]

    plain, streamed = asyncio.run(both())
    assert plain == streamed and "good morning" in plain

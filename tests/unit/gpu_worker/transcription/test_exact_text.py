"""Text goes through every path of the product as the real tokenizers wrote it.

Sentences in many languages go in as tokens of `base` and `tiny.en`, and come out of engine times,
aligners, speakers, channels, files and replies to the character.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from html import unescape

import numpy as np
import pytest
import regex
import webvtt
from faster_whisper.tokenizer import Tokenizer
from tokenizers import Tokenizer as Vocabulary

from gpu_worker.alignment import Aligner, AlignerRequest
from gpu_worker.alignment.chunk import align_chunk
from gpu_worker.alignment.fake import FakeAligner
from gpu_worker.assembly.channels import join_channels
from gpu_worker.assembly.formats import render
from gpu_worker.assembly.merging import merge_chunks
from gpu_worker.assembly.speakers import assign_speakers
from gpu_worker.assembly.subtitles import SubtitleOptions
from gpu_worker.heard import ChunkTranscript
from gpu_worker.loaded import load_aligner
from gpu_worker.pcm import Span
from gpu_worker.transcript import (
    Segment,
    Transcript,
    Turn,
    segment_to_json,
    segments_from_json,
)
from gpu_worker.transcription.decoded import DecodedWindow, heard_window
from gpu_worker.transcription.engines import DecodeOptions, WindowText
from gpu_worker.transcription.engines.word_times import TokenTimes, time_words
from gpu_worker.transcription.second_tries import Tried
from gpu_worker.transcription.windows import Window
from orchestrator.api.openai.replies import ReplyFormat, reply_json, reply_text
from orchestrator.api.openai.stream import TextStream
from tests.inputs.real_models import real_model
from tests.inputs.sentences import SENTENCES

RATE = 16_000
TOKEN_SECONDS = 0.1
MODELS = ("base", "tiny.en")
SILENT = np.zeros(60 * RATE, np.float32)
NARROW = SubtitleOptions(max_line_width=20, max_line_count=2)
LABEL = regex.compile(r"^\[[^]]*\]: ", regex.MULTILINE)


@cache
def vocabulary(model: str) -> Vocabulary:
    """To read it takes a tenth of a second; it is the same for all languages."""
    return Vocabulary.from_file(str(real_model(model) / "tokenizer.json"))


@cache
def tokenizer(model: str, language: str) -> Tokenizer:
    return Tokenizer(vocabulary(model), model == "base", task="transcribe", language=language)


def decoded(model: str, language: str, sentence: str, start: int = 0) -> DecodedWindow:
    """The sentence as an engine gives it, in a window of its own from sample `start` on."""
    writer = tokenizer(model, language)
    tokens = writer.encode(f" {sentence}")
    text = writer.decode(tokens).strip()
    assert text == sentence  # the tokenizer itself loses nothing
    seconds = (len(tokens) + 1) * TOKEN_SECONDS
    edges = [index * TOKEN_SECONDS for index in range(len(tokens) + 1)]
    words = time_words(writer, tokens, text, TokenTimes(edges, [0.9] * len(tokens)), seconds)
    window = Window((Span(start, start + round(seconds * RATE)),))
    answer = WindowText(text, words, -0.1, 0.0, 1.0, 0.0)
    return DecodedWindow.of(window, Tried(answer), DecodeOptions(language=language))


def heard(model: str, language: str, *sentences: str) -> ChunkTranscript:
    """A chunk with a window for each sentence."""
    windows, start = [], 0
    for sentence in sentences:
        one = decoded(model, language, sentence, start)
        start = one.window.spans[-1].end + RATE
        windows.append(
            heard_window(SILENT, one, first_sample=0, language=language, with_words=True)
        )
    return ChunkTranscript(tuple(windows))


def check(sentence: str, segments: Sequence[Segment]) -> None:
    """The segments give the sentence back, and their words give back the segments."""
    check_parts(sentence, [segment.text for segment in segments])
    clusters = {match.start() for match in regex.finditer(r"\X", sentence)}
    at = 0
    for segment in segments:
        check_parts(segment.text, [word.word for word in segment.words])
        for word in segment.words:
            at = sentence.index(word.word, at)
            assert at in clusters, f"{word.word!r} begins inside a character of {sentence!r}"
            at += len(word.word)
            assert word.start <= word.end


def check_parts(text: str, parts: Iterable[str]) -> None:
    """The parts are all of the text, in order, but for white space between them."""
    at = 0
    for part in parts:
        place = text.index(part, at)
        assert text[at:place].strip() == ""
        at = place + len(part)
    assert text[at:].strip() == ""


def squeezed(text: str) -> str:
    """Without white space, which lines and cues may add, and without invisible guards."""
    return "".join(text.replace("\u2060", "").split())


BY_LANGUAGE = [(model, *pair) for model in MODELS for pair in SENTENCES]


@pytest.mark.parametrize(("model", "language", "sentence"), BY_LANGUAGE, ids=str)
def test_an_engine_s_words_are_its_text(model: str, language: str, sentence: str) -> None:
    chunk = heard(model, language, sentence)
    check(sentence, chunk.segments)
    again = segments_from_json(json.loads(json.dumps(list(map(segment_to_json, chunk.segments)))))
    assert again == chunk.segments


def test_a_reader_s_word_has_one_time() -> None:
    chunk = heard("base", "en", "It cost $3.5, AT&T's up-to-date e-mail said at 12:30.")
    words = [word for segment in chunk.segments for word in segment.words]
    assert [word.word for word in words] == [
        "It", "cost", "$3.5,", "AT&T's", "up-to-date", "e-mail", "said", "at", "12:30.",
    ]  # fmt: skip
    assert all(word.end - word.start < 8 * TOKEN_SECONDS for word in words)
    assert [word.start for word in words] == sorted(word.start for word in words)
    up_to_date = words[4]
    assert up_to_date.end - up_to_date.start > 3 * TOKEN_SECONDS  # of all of its tokens


@pytest.fixture(scope="module", params=["fake", "ctc", "whisperx"])
def aligner(request: pytest.FixtureRequest) -> Aligner:
    if request.param == "fake":
        return FakeAligner()
    if request.param == "whisperx":
        pytest.importorskip("whisperx")
    return load_aligner(AlignerRequest(request.param, "pico-align", "en", device="cpu"))


@pytest.mark.slow
def test_an_aligner_changes_no_character(aligner: Aligner) -> None:
    for language, sentence in SENTENCES:
        chunk = heard("base", language, sentence)
        seconds = chunk.windows[0].spans[-1][1]
        noise = np.random.default_rng(1).normal(0, 0.05, seconds).astype(np.float32)
        check(sentence, align_chunk(aligner, noise, chunk, language=language).segments)


@pytest.mark.parametrize("model", MODELS)
def test_a_change_of_speaker_changes_no_character(model: str) -> None:
    for language, sentence in SENTENCES:
        segments = heard(model, language, sentence).segments
        turns = [Turn(n * 0.7, n * 0.7 + 0.7, f"SPEAKER_0{n % 2}") for n in range(200)]
        found = assign_speakers(segments, turns, turns)
        assert len({segment.speaker for segment in found}) == 2
        check(sentence, found)


@pytest.mark.parametrize("model", MODELS)
def test_channels_change_no_character(model: str) -> None:
    for language, sentence in SENTENCES:
        chunk = heard(model, language, sentence)
        found = join_channels({0: chunk.windows, 1: ()})
        check(sentence, found.segments)


@pytest.mark.parametrize("model", MODELS)
def test_a_part_of_a_window_keeps_its_characters(model: str) -> None:
    for language, sentence in SENTENCES:
        one = decoded(model, language, sentence)
        for cut in range(1, len(one.text.words)):
            at = round(one.text.words[cut].start * RATE)
            parts = [one.part(0, at, slice(0, cut)), one.part(at, 10**9, slice(cut, None))]
            check_parts(sentence, [part.text.text for part in parts if part])


def transcript(model: str, language: str, *, speakers: bool) -> tuple[Transcript, list[str]]:
    """All sentences of a language as one transcript."""
    sentences = [sentence for code, sentence in SENTENCES if code == language]
    segments = heard(model, language, *sentences).segments
    if speakers:
        turns = [Turn(n * 1.1, n * 1.1 + 1.1, f"SPEAKER_0{n % 2}") for n in range(500)]
        segments = assign_speakers(segments, turns, turns)
    return merge_chunks([segments], language=language, duration=60.0), sentences


LANGUAGES = sorted({language for language, _ in SENTENCES})


@pytest.mark.parametrize("speakers", [False, True], ids=["plain", "speakers"])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("model", MODELS)
def test_files_and_replies_have_every_character(model: str, language: str, speakers: bool) -> None:
    whole, sentences = transcript(model, language, speakers=speakers)
    said = squeezed("".join(sentences))
    assert squeezed(whole.text) == said
    check_parts(whole.text, [segment.text for segment in whole.segments])

    assert json.loads(render(whole, "json"))["text"] == whole.text
    assert squeezed(LABEL.sub("", render(whole, "txt"))) == said
    rows = render(whole, "tsv").splitlines()[1:]
    assert squeezed("".join(row.split("\t", 2)[2] for row in rows)) == said
    for options in (SubtitleOptions(), NARROW):
        srt = webvtt.from_string(_as_vtt(render(whole, "srt", options))).captions
        assert squeezed(LABEL.sub("", "\n".join(cue.text for cue in srt))) == said
        vtt = webvtt.from_string(render(whole, "vtt", options)).captions
        assert squeezed(unescape("".join(cue.text for cue in vtt))) == said

    assert reply_text(whole, ReplyFormat.TEXT) == whole.text + "\n"
    reply = reply_json(whole, ReplyFormat.VERBOSE_JSON, granularities=frozenset({"word"}))
    check_parts(whole.text, [word["word"] for word in reply["words"]])
    stream = TextStream(ReplyFormat.JSON)
    events = [*stream.more(whole.segments), *stream.end(whole)]
    assert "".join(event["delta"] for event in events[:-1]) == whole.text == events[-1]["text"]


def _as_vtt(srt: str) -> str:
    """The cues of an SRT file in WebVTT's writing, for the same reader."""
    return "WEBVTT\n\n" + regex.sub(r"(\d\d:\d\d:\d\d),(\d{3})", r"\1.\2", srt)


@pytest.mark.parametrize("language", ["zh", "ja", "yue"])
def test_between_segments_without_spaces_there_is_none(language: str) -> None:
    whole, sentences = transcript("base", language, speakers=False)
    assert whole.text == "".join(sentences)

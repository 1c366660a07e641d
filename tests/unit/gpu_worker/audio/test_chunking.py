from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpu_worker.audio.chunking import Chunk, ChunkingOptions, plan_chunks
from gpu_worker.audio.vad import speech_likelihood
from gpu_worker.errors import InvalidOption
from gpu_worker.pcm import SAMPLE_RATE
from tests.inputs.speech import recording

_FEW = ChunkingOptions(even_chunks=())  # chunks are as long as wished
_NOISE = np.random.default_rng(1).normal(0, 3000, 3600 * SAMPLE_RATE).astype(np.int16)


def _talk(
    seconds: float, seed: int, pause: tuple[float, float] = (0.4, 1.2), room: float = 20.0
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Phrases of noisy "words" with short gaps, between pauses; and the spans of the phrases."""
    rng = np.random.default_rng(seed)
    total = round(seconds * SAMPLE_RATE)
    pcm = rng.normal(0, room, total)
    spans, at = [], 0
    while at < total:
        begin = at
        for _ in range(rng.integers(2, 8)):
            at = min(at, total)
            end = min(total, at + int(rng.uniform(0.15, 0.6) * SAMPLE_RATE))
            pcm[at:end] += rng.normal(0, rng.uniform(600, 5000), end - at)
            at = end + int(rng.uniform(0.02, 0.1) * SAMPLE_RATE)
        spans.append((begin, end))
        at = end + int(rng.uniform(*pause) * SAMPLE_RATE)
    return pcm.clip(-32768, 32767).astype(np.int16), spans


def _assert_tiles(chunks: tuple[Chunk, ...], total: int) -> None:
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert chunks[0].start == 0
    assert chunks[-1].end == total
    assert all(before.end == after.start for before, after in pairwise(chunks))
    assert all(chunk.start < chunk.end for chunk in chunks)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    total=st.integers(1, len(_NOISE)),
    chunk=st.floats(1, 900),
    search=st.floats(0, 60),
    most=st.floats(1, 900),
)
@example(total=len(_NOISE), chunk=600.0, search=15.0, most=600.0)
@example(total=len(_NOISE), chunk=300.0, search=60.0, most=1.0)
def test_chunks_tile_the_file_within_their_bounds(
    total: int, chunk: float, search: float, most: float
) -> None:
    options = ChunkingOptions(chunk, search, most, even_chunks=())
    chunks = plan_chunks(_NOISE[:total], options)
    _assert_tiles(chunks, total)
    longest = max(part.seconds for part in chunks)
    if total <= chunk * SAMPLE_RATE and total <= 1800 * SAMPLE_RATE:
        assert len(chunks) == 1
    if total > 1800 * SAMPLE_RATE:
        assert longest <= most + 1e-3
    assert longest <= chunk + 2 * min(search, chunk / 3) + 1e-3
    if len(chunks) > 1:
        assert min(part.seconds for part in chunks) >= longest / 6


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("chunk_seconds", [10.0, 30.0, 60.0])
def test_speech_is_never_cut_in_a_phrase(chunk_seconds: float, seed: int) -> None:
    pcm, phrases = _talk(200, seed)
    chunks = plan_chunks(pcm, ChunkingOptions(chunk_seconds))
    _assert_tiles(chunks, len(pcm))
    assert len(chunks) >= 200 / chunk_seconds
    for chunk in chunks[1:]:
        assert not any(begin < chunk.start < end for begin, end in phrases)


def test_a_single_pause_in_dense_speech_is_found() -> None:
    pcm, _ = _talk(400, 3, pause=(0.02, 0.1))
    begin = 207 * SAMPLE_RATE
    pcm[begin : begin + SAMPLE_RATE // 2] //= 200
    cut = plan_chunks(pcm, _FEW)[0].end
    assert cut == pytest.approx(begin + SAMPLE_RATE / 4, abs=SAMPLE_RATE * 0.05)


def test_the_longest_silence_wins_over_a_nearer_one() -> None:
    pcm = _NOISE[: 400 * SAMPLE_RATE].copy()
    for second, length in ((199.0, 0.3), (206.0, 1.0), (193.0, 0.5)):
        begin = round(second * SAMPLE_RATE)
        pcm[begin : begin + round(length * SAMPLE_RATE)] = 0
    assert plan_chunks(pcm, _FEW)[0].end_seconds == pytest.approx(206.5, abs=0.03)


def test_among_long_silences_the_nearest_wins() -> None:
    pcm = _NOISE[: 400 * SAMPLE_RATE].copy()
    for second, length in ((187.0, 6.0), (201.0, 3.0)):
        begin = round(second * SAMPLE_RATE)
        pcm[begin : begin + round(length * SAMPLE_RATE)] = 0
    assert plan_chunks(pcm, _FEW)[0].end_seconds == pytest.approx(202.5, abs=0.03)


@pytest.mark.parametrize("level", [0, 1000, -32768], ids=["silence", "offset", "full scale"])
def test_where_nothing_changes_the_cuts_are_even(level: int) -> None:
    pcm = np.full(900 * SAMPLE_RATE, level, dtype=np.int16)
    assert [chunk.start_seconds for chunk in plan_chunks(pcm, _FEW)] == pytest.approx(
        [0, 300, 600], abs=0.02
    )


def test_a_short_stretch_of_speech_in_silence_is_not_cut() -> None:
    pcm = np.zeros(400 * SAMPLE_RATE, dtype=np.int16)
    pcm[199 * SAMPLE_RATE : 201 * SAMPLE_RATE] = _NOISE[: 2 * SAMPLE_RATE]
    assert not 199 <= plan_chunks(pcm, _FEW)[0].end_seconds <= 201


def test_up_to_the_chunk_length_there_is_one_chunk() -> None:
    assert plan_chunks(_NOISE[: 300 * SAMPLE_RATE], _FEW) == (Chunk(0, 0, 300 * SAMPLE_RATE),)
    assert len(plan_chunks(_NOISE[: 300 * SAMPLE_RATE + 1], _FEW)) == 2
    assert plan_chunks(_NOISE[:1], _FEW) == (Chunk(0, 0, 1),)
    assert plan_chunks(_NOISE[:0], _FEW) == ()


def test_there_is_no_tiny_last_chunk() -> None:
    chunks = plan_chunks(_NOISE[: 610 * SAMPLE_RATE], _FEW)
    assert [round(chunk.seconds, -2) for chunk in chunks] == [200, 200, 200]


def test_over_half_an_hour_no_chunk_exceeds_ten_minutes() -> None:
    options = ChunkingOptions(chunk_seconds=1200.0, even_chunks=())
    assert len(plan_chunks(_NOISE[: 1200 * SAMPLE_RATE], options)) == 1
    assert max(chunk.seconds for chunk in plan_chunks(_NOISE, options)) <= 600


@pytest.mark.slow
def test_a_memory_map_gives_the_same_plan(tmp_path: Path) -> None:
    pcm, _ = _talk(700, 5)
    pcm.astype("<i2").tofile(tmp_path / "pcm")
    mapped = np.memmap(tmp_path / "pcm", dtype="<i2", mode="r")
    assert plan_chunks(mapped) == plan_chunks(pcm)


def test_with_a_detector_chunks_tile_the_file_and_end_in_pauses() -> None:
    samples, said = recording(100)
    pcm = (samples * 32767).astype(np.int16)
    chunks = plan_chunks(pcm, ChunkingOptions(20.0), speech_likelihood)
    _assert_tiles(chunks, len(pcm))
    assert len(chunks) == 6
    for chunk in chunks[1:]:
        assert not any(each.start < chunk.start_seconds < each.end for each in said)


def test_planning_hears_only_the_stretches_around_the_boundaries() -> None:
    heard: list[int] = []

    def detector(audio: np.ndarray) -> np.ndarray:
        heard.append(len(audio))
        return speech_likelihood(audio)

    chunks = plan_chunks(_NOISE, _FEW, detector)
    assert sum(heard) <= (len(chunks) - 1) * 31 * SAMPLE_RATE
    heard.clear()
    plan_chunks(_NOISE[: 300 * SAMPLE_RATE], _FEW, detector)
    assert heard == []


def test_a_chunk_tells_its_times_in_seconds() -> None:
    chunk = Chunk(1, 8_000, 24_000)
    assert (chunk.start_seconds, chunk.end_seconds, chunk.seconds) == (0.5, 1.5, 1.0)


@pytest.mark.parametrize(
    "options", [(0.5,), (float("nan"),), (300.0, -1.0), (300.0, 15.0, 0.0), (float("inf"),)]
)
def test_senseless_options_are_refused(options: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidOption):
        ChunkingOptions(*options)


@pytest.mark.parametrize(
    ("minutes", "chunks"), [(0.5, 1), (1, 1), (2, 2), (5, 6), (9, 12), (10, 12), (18, 24), (60, 24)]
)
def test_a_file_has_as_many_chunks_as_few_workers_can_share_evenly(
    minutes: float, chunks: int
) -> None:
    assert len(plan_chunks(_NOISE[: round(minutes * 60 * SAMPLE_RATE)])) == chunks


def test_a_long_file_s_chunks_are_not_shorter_for_that() -> None:
    long = np.lib.stride_tricks.as_strided(_NOISE[:1], (7200 * SAMPLE_RATE,), (0,))
    assert len(plan_chunks(long)) == 24

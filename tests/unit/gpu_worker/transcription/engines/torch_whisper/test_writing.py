"""Texts of a batch: rows that end leave it, and nothing of a row depends on the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.engines.shapes import Shape, random_model
from gpu_worker.transcription.engines.torch_whisper.network import Network, build_network
from gpu_worker.transcription.engines.torch_whisper.precision import Precision
from gpu_worker.transcription.engines.torch_whisper.rules import token_rules
from gpu_worker.transcription.engines.torch_whisper.writing import (
    CPU,
    GPU,
    Assignment,
    Pace,
    Writer,
    Written,
)

pytestmark = pytest.mark.slow  # it imports torch

SHAPE = Shape(64, 4, 1, 2, vocabulary=200)
PROMPT = (1, 2, 3)
BUCKETS = replace(GPU, steps=3, rows=(2, 4, 8), span=16)


@pytest.fixture(scope="module")
def network() -> Network:
    weights, _ = random_model(SHAPE, seed=3)
    return build_network(weights, Precision(torch.float32, torch.float32), "cpu")


@pytest.fixture(scope="module")
def sounds() -> torch.Tensor:
    return 3 * torch.randn(7, 1500, 64, generator=torch.Generator().manual_seed(2))


def written(
    network: Network,
    sounds: torch.Tensor,
    *,
    pace: Pace = CPU,
    temperature: float = 0.0,
    seeds: list[int] | None = None,
    ends: int = 150,
    room: int = 40,
) -> list[Written]:
    writer = Writer(network.decoder, 1500, network.alignment_heads, ends, pace)
    assignment = Assignment(
        PROMPT, room, token_rules([5], [6], 200, "cpu"), temperature, seeds or [0] * len(sounds)
    )
    with torch.inference_mode():
        page = writer.begin(sounds.split(1))
        writer.write(page, assignment)
        return writer.read(page, assignment)


def ending(network: Network, sounds: torch.Tensor) -> int:
    """A token that ends texts at different places."""
    texts = [text.tokens for text in written(network, sounds)]
    return max(
        range(200),
        key=lambda token: len({text.index(token) for text in texts if token in text}),
    )


def test_each_row_of_a_batch_is_written_as_if_it_were_alone(
    network: Network, sounds: torch.Tensor
) -> None:
    end = ending(network, sounds)
    together = written(network, sounds, ends=end)
    assert len({len(text.tokens) for text in together}) >= 3
    for sound, text in zip(sounds.split(1), together, strict=True):
        (alone,) = written(network, sound, ends=end)
        assert alone.tokens == text.tokens
        assert alone.log_probability == pytest.approx(text.log_probability, abs=1e-4)
        assert alone.probabilities == pytest.approx(text.probabilities, abs=1e-5)


def test_the_pace_of_a_gpu_writes_the_same(network: Network, sounds: torch.Tensor) -> None:
    end = ending(network, sounds)
    for one, other in zip(
        written(network, sounds, ends=end),
        written(network, sounds, ends=end, pace=BUCKETS),
        strict=True,
    ):
        assert one.tokens == other.tokens
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-4)


def test_a_page_is_used_again_for_a_smaller_batch(network: Network, sounds: torch.Tensor) -> None:
    writer = Writer(network.decoder, 1500, (), 150, BUCKETS)
    assignment = Assignment(PROMPT, 20, token_rules([], [], 200, "cpu"), 0.0, [0] * 7)
    with torch.inference_mode():
        first = writer.begin([sounds])
        writer.write(first, assignment)
        before = writer.read(first, assignment)
        again = writer.begin([sounds[4:6]])
        assert again is first
        smaller = replace(assignment, seeds=[0, 0])
        writer.write(again, smaller)
        after = writer.read(again, smaller)
    assert [text.tokens for text in after] == [text.tokens for text in before[4:6]]
    assert writer.begin([sounds, sounds]) is not first


def test_what_is_drawn_depends_on_the_seed_alone(network: Network, sounds: torch.Tensor) -> None:
    seeds = [11, 12, 13, 14, 15, 16, 17]
    drawn = written(network, sounds, temperature=0.8, seeds=seeds)
    for index in (0, 6):
        (alone,) = written(
            network, sounds[index : index + 1], temperature=0.8, seeds=seeds[index : index + 1]
        )
        assert alone.tokens == drawn[index].tokens
    same = sounds[:1].expand(3, -1, -1)
    texts = written(network, same, temperature=0.8, seeds=[1, 2, 1])
    assert texts[0].tokens == texts[2].tokens != texts[1].tokens


def test_candidates_are_rows_of_one_sound(network: Network, sounds: torch.Tensor) -> None:
    writer = Writer(network.decoder, 1500, (), 150)
    assignment = Assignment(PROMPT, 10, token_rules([], [], 200, "cpu"), 0.0, [0] * 6)
    with torch.inference_mode():
        page = writer.begin(sounds[:2].split(1), copies=3)
        writer.write(page, assignment)
        texts = [text.tokens for text in writer.read(page, assignment)]
    assert texts[0] == texts[1] == texts[2]
    assert texts[3] == texts[4] == texts[5]


def test_a_text_has_at_most_as_many_tokens_as_there_is_room_for(
    network: Network, sounds: torch.Tensor
) -> None:
    (long,) = written(network, sounds[:1], room=40)
    (short,) = written(network, sounds[:1], room=7)
    assert len(long.tokens) == 40
    assert short.tokens == long.tokens[:7]
    assert short.log_probability > long.log_probability
    assert 5 not in long.tokens and long.tokens[0] != 6
    (none,) = written(network, sounds[:1], room=3, ends=long.tokens[0])
    assert none.tokens == () and none.log_probability < 0

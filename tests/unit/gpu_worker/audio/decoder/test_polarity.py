"""A channel that would cancel another is turned round, others are left alone."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt
import pytest

from gpu_worker.audio.decoder.polarity import Polarity

Table = npt.NDArray[np.float64]  # one row a channel, full scale 1
RATE = 16_000
FULL = {"u8": 127, "s16": 32767, "s32": 2**31 - 1, "flt": 1.0, "dbl": 1.0}
TYPES = {"u8": np.uint8, "s16": np.int16, "s32": np.int32, "flt": np.float32, "dbl": np.float64}


def speech(seconds: float, seed: int = 0) -> Table:
    """Noise with pauses of a fifth of a second; a little noise goes on in them."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.1, round(seconds * RATE))
    loud = np.arange(len(noise)) // (RATE // 5) % 2 == 0
    return np.clip(np.where(loud, noise, noise * 0.005), -0.9, 0.9)


def frames(table: Table, form: str = "s16p", samples: int = 320) -> list[av.AudioFrame]:
    name = form.removesuffix("p")
    data = table * FULL[name] + (128 if name == "u8" else 0)
    whole = data.astype(TYPES[name])
    layout = {2: "stereo", 4: "4.0"}[len(table)]
    found = []
    for start in range(0, whole.shape[1], samples):
        part = whole[:, start : start + samples]
        part = part if form.endswith("p") else part.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format=form, layout=layout)
        frame.sample_rate = RATE
        found.append(frame)
    return found


def aligned(table: Table, form: str = "s16p", samples: int = 320) -> tuple[Table, list[bool]]:
    """What becomes of the channels, and which frames had one turned round."""
    polarity, name = Polarity(len(table)), form.removesuffix("p")
    parts, turned = [], []
    for frame in frames(table, form, samples):
        turned.append(polarity.align(frame))
        data = frame.to_ndarray().astype(float)
        parts.append(data if form.endswith("p") else data.reshape(-1, len(table)).T)
    return (np.hstack(parts) - (128 if name == "u8" else 0)) / FULL[name], turned


@pytest.mark.parametrize("form", ["u8", "u8p", "s16", "s16p", "s32", "s32p", "flt", "fltp", "dblp"])
def test_an_opposite_channel_is_turned_round(form: str) -> None:
    left = speech(2.0)
    found, turned = aligned(np.stack([left, -left]), form)
    assert all(turned)
    assert np.abs(found[1] - left).max() < 0.02
    assert np.abs(found[0] - left).max() < 0.02


@pytest.mark.parametrize("size", [160, 1024, 16_000])
def test_the_length_of_frames_makes_no_difference(size: int) -> None:
    left = speech(4.0)
    found, _ = aligned(np.stack([left, -left]), samples=size)
    assert np.abs(found[1] - left).max() < 0.001


@pytest.mark.parametrize(
    "right",
    [
        speech(4.0),  # mono stored as stereo
        speech(4.0) * 0.1,
        speech(4.0, seed=1),  # two people
        speech(4.0) * -0.3,  # quieter by 10 dB: it takes away a third, no more
        np.zeros(4 * RATE),
        np.roll(speech(4.0), 5),  # a second microphone
    ],
)
def test_other_channels_are_left_alone(right: Table) -> None:
    table = np.stack([speech(4.0), right])
    found, turned = aligned(table)
    assert not any(turned)
    assert np.abs(found - table).max() < 0.0001


def test_only_the_opposite_part_of_a_file_is_turned() -> None:
    left, right = speech(6.0), speech(6.0)
    right[2 * RATE : 4 * RATE] *= -1
    found, _ = aligned(np.stack([left, right]))
    heard = found.mean(axis=0)
    lost = np.abs(heard - left) > 0.01
    assert lost.mean() < 0.1
    assert not lost[: 2 * RATE].any()
    assert not lost[round(2.5 * RATE) : 4 * RATE].any() and not lost[round(4.5 * RATE) :].any()


def test_of_four_channels_the_pair_that_cancels_is_turned() -> None:
    one, other = speech(2.0), speech(2.0, seed=1)
    found, turned = aligned(np.stack([one, other, -one, np.zeros_like(one)]))
    assert all(turned)
    assert np.abs(found.sum(axis=0) - 2 * one - other).max() < 0.001


def test_silence_and_no_numbers_decide_nothing() -> None:
    for table in (np.zeros((2, RATE)), np.full((2, RATE), np.nan)):
        assert not any(aligned(table, "fltp")[1])

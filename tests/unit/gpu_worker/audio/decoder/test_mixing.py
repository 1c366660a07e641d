"""Frames of any shape become mono at 16 kHz, every channel with the same weight."""

from __future__ import annotations

from collections.abc import Iterable

import av
import numpy as np
import numpy.typing as npt
import pytest

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.audio.decoder.mixing import Mixer
from gpu_worker.errors import AudioOutOfBounds, InvalidOption

LIMITS = AudioLimits()
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
Mono = npt.NDArray[np.int16]


def a_frame(
    *levels: float, rate: int = 16_000, seconds: float = 0.5, form: str = "s16"
) -> av.AudioFrame:
    """One constant level a channel; full scale is 1."""
    table = np.repeat(np.array(levels)[None, :], round(seconds * rate), axis=0)
    whole = form == "s16"
    data = (table * 32767).astype("<i2") if whole else table.astype(np.float32)
    frame = av.AudioFrame.from_ndarray(
        data.reshape(1, -1), format=form, layout=LAYOUTS[len(levels)]
    )
    frame.sample_rate = rate
    return frame


def mixed(frames: Iterable[av.AudioFrame], channel: int | None = None) -> Mono:
    mixer = Mixer(channel, LIMITS)
    data = b"".join(piece for frame in frames for piece in mixer.convert(frame))
    return np.frombuffer(data + b"".join(mixer.flush()), "<i2")


@pytest.mark.parametrize("levels", [(0.5,), (0.2, 0.6), (0.1, 0.2, 0.3, 0.6, 0.0, 0.0)])
def test_all_channels_weigh_the_same(levels: tuple[float, ...]) -> None:
    found = mixed([a_frame(*levels)])
    assert len(found) == 8000
    assert found[4000] == pytest.approx(np.mean(levels) * 32767, abs=2)


@pytest.mark.parametrize("channel", [0, 1])
def test_one_channel_can_be_chosen(channel: int) -> None:
    found = mixed([a_frame(0.2, 0.6)], channel)
    assert found[4000] == pytest.approx((0.2, 0.6)[channel] * 32767, abs=2)


def test_a_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidOption, match="no channel 2"):
        mixed([a_frame(0.2, 0.6)], 2)


def test_a_stream_that_changes_its_shape_goes_on() -> None:
    found = mixed([a_frame(0.5), a_frame(0.2, 0.6, rate=48_000), a_frame(0.5)], 0)
    assert len(found) == pytest.approx(24_000, abs=32)
    assert found[12_000] == pytest.approx(0.2 * 32767, abs=2)


def test_a_channel_that_ends_with_a_change_is_the_last_one_left() -> None:
    found = mixed([a_frame(0.2, 0.6), a_frame(0.4)], 1)
    assert found[-100] == pytest.approx(0.4 * 32767, abs=2)


def apart(frames: Iterable[av.AudioFrame]) -> Mono:
    """One row a sample, one column a channel."""
    mixer = Mixer(None, LIMITS, split=True)
    data = b"".join(piece for frame in frames for piece in mixer.convert(frame))
    return np.frombuffer(data + b"".join(mixer.flush()), "<i2").reshape(-1, mixer.outputs)


@pytest.mark.parametrize("levels", [(0.5,), (0.2, 0.6), (0.1, 0.2, 0.3, 0.6, 0.0, 0.5)])
def test_split_channels_stay_as_they_are(levels: tuple[float, ...]) -> None:
    found = apart([a_frame(*levels, rate=48_000)])
    assert found.shape == (pytest.approx(8000, abs=32), len(levels))
    assert found[4000] == pytest.approx(np.array(levels) * 32767, abs=2)


def test_a_split_channel_that_ends_is_silent_from_there() -> None:
    found = apart([a_frame(0.2, 0.6), a_frame(0.4)])
    assert found[-100].tolist() == [pytest.approx(0.4 * 32767, abs=2), 0]


def test_channels_that_come_later_are_heard_in_the_last_one() -> None:
    found = apart([a_frame(0.4), a_frame(0.2, 0.6), a_frame(0.4)])
    assert found.shape == (24_000, 1)
    assert found[12_000, 0] == pytest.approx(0.4 * 32767, abs=2)


def test_a_rate_out_of_bounds_is_refused() -> None:
    with pytest.raises(AudioOutOfBounds):
        mixed([a_frame(0.5, rate=1000)])


def test_what_is_no_number_becomes_silence_and_infinity_full_scale() -> None:
    frame = a_frame(0.25, form="flt")
    values = np.frombuffer(bytes(frame.planes[0]), np.float32).copy()
    values[4000:4100], values[6000:6100] = np.nan, np.inf
    frame.planes[0].update(values.tobytes())
    found = mixed([frame])
    assert (found[4050], found[6050], found[2000]) == (0, 32767, 8192)


def test_the_first_frame_says_what_the_source_is() -> None:
    mixer = Mixer(None, LIMITS)
    for frame in (a_frame(0.1, 0.2, rate=48_000), a_frame(0.1)):
        list(mixer.convert(frame))
    assert mixer.source == (48_000, 2)


def test_no_frames_are_no_samples() -> None:
    assert len(mixed([])) == 0

"""When a track begins in the presentation, and which packet is its last."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.audio.decoder.media import audio_stream, open_media
from gpu_worker.audio.decoder.packets import Packets
from tests.inputs.bad_audio import encoded


def read(
    path: Path, content: bytes, track: int | None = None
) -> tuple[Packets, list[int], list[bool]]:
    """The reader, the size of each packet, and whether each is the last one."""
    path.write_bytes(content)
    with path.open("rb") as file, open_media(file.fileno()) as container:
        packets = Packets(container, audio_stream(container, AudioLimits(), track))
        read = [(0 if packet is None else packet.size, last) for packet, last in packets]
        return packets, [size for size, _ in read], [last for _, last in read]


@pytest.mark.parametrize(
    ("suffix", "codec", "start", "picture", "late"),
    [
        (".mkv", "flac", 2.0, True, 2.0),
        (".mkv", "flac", 2.0, False, 0.0),
        (".mov", "pcm_s16le", 0.25, True, 0.25),
        (".ts", "mp2", 300.0, True, 300.0),  # far behind what FFmpeg looks at by itself
        (".mkv", "flac", 0.0, True, 0.0),
    ],
)
def test_a_track_is_as_late_as_the_first_picture_is_early(
    tmp_path: Path, suffix: str, codec: str, start: float, picture: bool, late: float
) -> None:
    content = encoded(suffix, codec, seconds=1.0, picture=picture, start=start)
    assert read(tmp_path / "file", content)[0].late == pytest.approx(late, abs=0.03)


def test_a_picture_that_was_cut_at_its_start_is_not_early(tmp_path: Path) -> None:
    content = encoded(".mp4", "aac", seconds=1.0, picture=True, cut=3.0, avoid_negative_ts="0")
    path = tmp_path / "file"
    path.write_bytes(content)
    with path.open("rb") as file, open_media(file.fileno()) as container:
        times = [packet.pts * packet.time_base for packet in container.demux() if packet.size]
    assert min(times) < -2.5  # what was cut away is still there
    assert read(path, content)[0].late == pytest.approx(0.0, abs=0.03)


def test_only_the_last_packet_is_the_last_and_none_is_lost(tmp_path: Path) -> None:
    content = encoded(".mkv", "pcm_s16le", seconds=4.0, picture=True, tracks=2)
    for track in (0, 1):
        packets, sizes, last = read(tmp_path / "file", content, track)
        assert sum(sizes) == 4 * 48_000 * 2
        assert last == [False] * (len(last) - 2) + [True, False]
        assert not packets.cut


def test_a_file_of_one_packet_is_read(tmp_path: Path) -> None:
    _, sizes, last = read(tmp_path / "file", encoded(".wav", "pcm_s16le", seconds=0.01))
    assert sizes == [960, 0]
    assert last == [True, False]

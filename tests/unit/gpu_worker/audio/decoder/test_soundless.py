"""What cannot be decoded and is no damage."""

from __future__ import annotations

import pytest

from gpu_worker.audio.decoder.soundless import Soundless, SoundlessPackets

ID3 = b"ID3\x04\0\0" + bytes((0, 0, 2, 0))  # 256 bytes follow
FRAME = b"\xff\xfb" + bytes(50)


def kind(codec: str, data: bytes) -> Soundless | None:
    return SoundlessPackets(codec).kind(data, failed=True, last=False)


@pytest.mark.parametrize(
    ("codec", "frame_type", "is_pause"),
    [("amrnb", 8, True), ("amrnb", 15, True), ("amrnb", 0, False), ("amrnb", 13, False),
     ("amrwb", 9, True), ("amrwb", 15, True), ("amrwb", 8, False), ("mp3float", 15, False)],
)  # fmt: skip
def test_frames_without_speech_are_pauses(codec: str, frame_type: int, is_pause: bool) -> None:
    found = kind(codec, bytes([frame_type << 3 | 4]))
    assert found is (Soundless.PAUSE if is_pause else None)


@pytest.mark.parametrize("data", [ID3, b"TAG" + bytes(125), b"TAG" + bytes(125) + ID3])
def test_a_tag_between_joined_files_is_no_damage(data: bytes) -> None:
    assert kind("mp3float", data) is Soundless.TAG


def test_a_tag_of_many_packets_ends_where_it_says() -> None:
    packets = SoundlessPackets("mp3float")
    sizes = (100, 100, 66, 50)
    found = [
        packets.kind((ID3 + bytes(306))[sum(sizes[:n]) :][:size], failed=True, last=False)
        for n, size in enumerate(sizes)
    ]
    assert found == [Soundless.TAG] * 3 + [None]


@pytest.mark.parametrize("data", [b"", b"\xff\xfb" + bytes(90), b"xID3" + bytes(90)])
def test_a_broken_frame_is_damage(data: bytes) -> None:
    assert kind("mp3float", data) is None


@pytest.mark.parametrize(
    ("sizes", "last", "found"),
    [
        ((65, 65, 1), True, Soundless.PADDING),
        ((65, 65, 65), True, None),  # a whole block
        ((65, 65, 1), False, None),  # more comes
        ((65, 60, 1), True, None),  # a codec whose packets have any size
        ((1,), True, None),
    ],
)
def test_a_rest_of_a_block_at_the_end_is_padding(
    sizes: tuple[int, ...], last: bool, found: Soundless | None
) -> None:
    packets = SoundlessPackets("gsm_ms")
    for size in sizes[:-1]:
        assert packets.kind(bytes(size), failed=False, last=False) is None
    assert packets.kind(bytes(sizes[-1]), failed=True, last=last) is found

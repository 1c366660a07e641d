"""Everything that FFmpeg can do is accepted, or refused for a reason that is written here."""

from __future__ import annotations

from collections.abc import Iterable

import av
import pytest
from av.codec.codec import Codec, UnknownCodecError

from gpu_worker.audio.decoder.whitelist import CODECS, CONTAINERS

REFUSED_CODECS = {
    "it is no codec: what it is given goes through": "anull",
    "it makes sound of any length out of a few bytes": "wavesynth comfortnoise",
    "other arithmetic for a codec that is accepted; never chosen": "aac_fixed ac3_fixed",
}
REFUSED_CONTAINERS = {
    "it opens other files, or the network": (
        "concat dash hls image2 imf mlv rtp rtsp sap sdp vobsub webm_dash_manifest"
    ),
    "it is a device of the machine": (
        "alsa audiotoolbox avfoundation dshow fbdev gdigrab jack kmsgrab lavfi openal oss pulse "
        "sndio v4l2 vfwcap video4linux2 x11grab xcbgrab"
    ),
    "it makes sound out of a script": "sbg",
    "pictures, and films without sound": (
        "alias_pix anm apng brender_pix cdg cine dfa filmstrip fits flic gif ico image2pipe ipu "
        "jpegxl_anim pdv ser tiertexseq"
    ),
    "bare video": (
        "apv av1 avs2 avs3 bitpacked cavsvideo dirac dnxhd evc frm h261 h263 h264 hevc ingenient "
        "ivf iv8 m4v mjpeg mjpeg_2000 mpegtsraw mpegvideo mpjpeg msp obu rawvideo v210 v210x vc1 "
        "vc1test vvc yuv4mpegpipe"
    ),
    "subtitles, text and bare data": (
        "adf aqtitle ass bin data dvbsub dvbtxt ffmetadata idf jacosub lrc mcc microdvd mpl2 mpsub "
        "pjs rcwt realtext sami scc srt stl subviewer subviewer1 sup tedcaptions tty vplayer "
        "webvtt xbin"
    ),
    "samples without a header: nothing in the file says what they are": (
        "alaw aptx aptx_hd daud dfpwm f32be f32le f64be f64le g722 g726 g726le g728 g729 mulaw "
        "s16be s16le s24be s24le s32be s32le s8 sbc sln u16be u16le u24be u24le u32be u32le u8 vidc"
    ),
    "FFmpeg is built without the decoder": "ac4 codec2 codec2raw lc3",
}

OTHER_NAMES = {"3g2", "3gp", "m4a", "mj2", "mp4", "webm"}  # of mov and matroska


def named(reasons: Iterable[str]) -> set[str]:
    return {name for names in reasons for name in names.split()}


def audio_decoders() -> set[str]:
    found = set()
    for name in av.codecs_available:
        try:
            if Codec(name, "r").type == "audio":
                found.add(name)
        except UnknownCodecError:  # an encoder
            continue
    return found


def demuxers() -> dict[str, set[str]]:
    """The names of each format that can be read."""
    found: dict[str, set[str]] = {}
    for name in av.formats_available:
        try:
            names = set(av.ContainerFormat(name, "r").name.split(",")) | set(name.split(","))
        except ValueError:  # one that can only be written
            continue
        found[name] = names
    return found


def test_every_audio_decoder_is_accepted_or_refused_for_a_reason() -> None:
    accepted, refused = set(CODECS.split(",")), named(REFUSED_CODECS.values())
    assert audio_decoders() - accepted == refused
    assert not accepted & refused


def test_every_container_is_accepted_or_refused_for_a_reason() -> None:
    accepted = set(CONTAINERS.split(",")) | OTHER_NAMES
    refused = named(REFUSED_CONTAINERS.values())
    for format_names in demuxers().values():
        is_refused = bool(format_names & refused) or any(
            name.endswith("_pipe") for name in format_names
        )
        assert bool(format_names & accepted) != is_refused, format_names


def test_no_video_decoder_is_accepted() -> None:
    assert all(
        Codec(name, "r").type == "audio"
        for name in CODECS.split(",")
        if name in av.codecs_available
    )


@pytest.mark.parametrize("name", ["hls", "concat", "image2", "sdp", "rtsp", "lavfi", "sbg"])
def test_what_refers_to_other_things_is_not_accepted(name: str) -> None:
    assert name not in CONTAINERS.split(",")

import json
import os
import random
import subprocess
import sys
import threading
import wave
from contextlib import suppress
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from gpu_worker.audio.decoded import AudioLimits, DecodedAudio
from gpu_worker.audio.decoding import decode, decode_channels
from gpu_worker.errors import (
    AudioOutOfBounds,
    InvalidOption,
    PermanentError,
    ScriptoriumError,
    SourceMissing,
    TransientError,
    UnreadableAudio,
)
from gpu_worker.transcript import TranscriptWarning
from tests.inputs.bad_audio import CASES, SIBLING, Case, encoded, tone, wav


def _case(label: str) -> Case:
    return next(case for case in CASES if case.label == label)


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _sparse_wav(path: Path, seconds: int, channels: int = 16) -> Path:
    """Long silence that takes no room on the disk and some time to decode."""
    size = seconds * 48_000 * channels * 2
    path.write_bytes(wav(b"", rate=48_000, channels=channels, declared=size))
    os.truncate(path, 44 + size)
    return path


def _pcm(path: Path) -> np.ndarray:
    return np.fromfile(path, "<i2")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
def test_every_file_of_the_corpus_ends_as_it_should(case: Case, tmp_path: Path) -> None:
    source_directory = tmp_path / "in"
    source_directory.mkdir()
    (source_directory / SIBLING).write_bytes(wav(tone().tobytes()))
    source = case.write(source_directory)
    destination = tmp_path / "out" / "audio.pcm"
    destination.parent.mkdir()
    if case.code is not None:
        with pytest.raises(ScriptoriumError) as caught:
            decode(source, destination)
        assert caught.value.code == case.code
        assert list(destination.parent.iterdir()) == []
        return
    audio = decode(source, destination)
    assert {warning.code for warning in audio.warnings} == set(case.warnings)
    assert list(destination.parent.iterdir()) == [destination]
    assert destination.stat().st_size == audio.samples * 2 > 0
    assert audio.sha256 == sha256(destination.read_bytes()).hexdigest()
    if case.seconds is not None:
        assert audio.seconds == pytest.approx(case.seconds, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16))
def test_flipped_bytes_end_in_audio_or_in_an_error_of_the_tree(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    suffix, codec = rng.choice(
        [
            (".m4a", "aac"),
            (".ogg", "libopus"),
            (".flac", "flac"),
            (".mkv", "aac"),
            (".wav", "pcm_s16le"),
        ]
    )
    data = bytearray(encoded(suffix, codec, seconds=1.0))
    for _ in range(20):
        data[rng.randrange(min(len(data), 4000))] = rng.randrange(256)
    try:
        assert decode(_write(tmp_path / "a", bytes(data)), tmp_path / "pcm").samples > 0
    except PermanentError:
        assert not (tmp_path / "pcm").exists()


def test_a_playlist_would_open_its_neighbour_if_it_were_let(tmp_path: Path) -> None:
    # The control for the corpus: the file is a working attack on a plain `av.open`.
    (tmp_path / SIBLING).write_bytes(wav(tone().tobytes()))
    playlist = _case("ffconcat named mp3").write(tmp_path)
    with av.open(str(playlist)) as container:
        assert container.format.name == "concat"
        assert sum(frame.samples for frame in container.decode(audio=0)) == 32_000


def test_a_truncated_file_is_reported_with_its_missing_span(tmp_path: Path) -> None:
    source = _case("faststart mp4 cut short").write(tmp_path)
    audio = decode(source, tmp_path / "pcm")
    (warning,) = (warning for warning in audio.warnings if warning.code == "truncated_audio")
    assert audio.declared_seconds == pytest.approx(4.0, abs=0.05)
    assert warning.start == pytest.approx(audio.seconds)
    assert warning.end == audio.declared_seconds
    assert "cut off" in warning.message


def test_damage_and_gaps_keep_the_times_after_them(tmp_path: Path) -> None:
    audio = decode(_case("webm with a gap").write(tmp_path), tmp_path / "pcm")
    (gap,) = audio.warnings
    assert (gap.start, gap.end) == pytest.approx((1.0, 3.0), abs=0.1)
    samples = _pcm(tmp_path / "pcm").astype(float)
    assert np.abs(samples[20_000:44_000]).max() == 0
    assert np.abs(samples[50_000:60_000]).max() > 4000


def test_samples_survive_unchanged_when_nothing_has_to_be_converted(tmp_path: Path) -> None:
    samples = tone()
    decode(_write(tmp_path / "a", wav(samples.tobytes())), tmp_path / "pcm")
    assert np.array_equal(_pcm(tmp_path / "pcm"), samples[:, 0])


def test_nan_is_silence_and_not_a_click(tmp_path: Path) -> None:
    decode(_case("NaN and infinity").write(tmp_path), tmp_path / "pcm")
    samples = _pcm(tmp_path / "pcm").astype(int)
    assert np.abs(samples[5000:5010]).max() == 0
    assert (samples[9000], samples[9001]) == (32767, -32768)
    assert np.abs(np.delete(samples, [9000, 9001])).max() <= 8001


@pytest.mark.slow
@pytest.mark.parametrize("channels", [2, 3, 6, 9, 16])
def test_all_channels_weigh_the_same_in_the_mix(channels: int, tmp_path: Path) -> None:
    for speaking in range(channels):
        samples = tone(0.2, channels=channels)
        samples[:, [c for c in range(channels) if c != speaking]] = 0
        source = _write(tmp_path / "a", wav(samples.tobytes(), channels=channels))
        audio = decode(source, tmp_path / "pcm")
        assert audio.channels == channels
        assert _pcm(tmp_path / "pcm").max() == pytest.approx(8000 / channels, abs=2)
        if channels > 6:
            break


@pytest.mark.slow
def test_one_channel_can_be_chosen(tmp_path: Path) -> None:
    samples = np.hstack([tone(), tone() // 2, tone() * 0])
    source = _write(tmp_path / "a", wav(samples.tobytes(), channels=3))
    for channel in range(3):
        decode(source, tmp_path / "pcm", channel=channel)
        assert np.array_equal(_pcm(tmp_path / "pcm"), samples[:, channel])


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 2, 3, 16])
def test_split_channels_are_what_each_is_alone(channels: int, tmp_path: Path) -> None:
    samples = np.hstack([tone(0.5) // (channel + 1) for channel in range(channels)])
    source = _write(tmp_path / "a", wav(samples.tobytes(), channels=channels))
    (tmp_path / "out").mkdir()
    audio = decode_channels(source, tmp_path / "out")
    assert len(audio.split) == audio.channels == channels
    assert audio.sha256 == audio.split[0]
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(audio.split)
    for channel, checksum in enumerate(audio.split):
        alone = decode(source, tmp_path / "pcm", channel=channel)
        assert (alone.sha256, alone.samples) == (checksum, audio.samples)
        assert (tmp_path / "out" / checksum).read_bytes() == (tmp_path / "pcm").read_bytes()


def test_equal_channels_are_one_file(tmp_path: Path) -> None:
    samples = np.hstack([tone(), tone() * 0, tone()])
    source = _write(tmp_path / "a", wav(samples.tobytes(), channels=3))
    (tmp_path / "out").mkdir()
    first, silent, last = decode_channels(source, tmp_path / "out").split
    assert first == last != silent
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.slow
def test_channels_that_cannot_be_had_leave_nothing(tmp_path: Path) -> None:
    source = _sparse_wav(tmp_path / "a", 240)
    (tmp_path / "out").mkdir()
    for limits in (AudioLimits(max_channels=8), AudioLimits(max_seconds=100.0)):
        with pytest.raises(AudioOutOfBounds):
            decode_channels(source, tmp_path / "out", limits=limits)
    assert list((tmp_path / "out").iterdir()) == []


def test_channels_kept_apart_count_one_by_one_and_mixed_ones_do_not(tmp_path: Path) -> None:
    source = _sparse_wav(tmp_path / "a", 20)  # 16 channels
    (tmp_path / "out").mkdir()
    limits = AudioLimits(max_seconds=300.0)
    with pytest.raises(AudioOutOfBounds, match="16 channels, which are kept apart"):
        decode_channels(source, tmp_path / "out", limits=limits)
    assert list((tmp_path / "out").iterdir()) == []
    assert decode(source, tmp_path / "pcm", limits=limits).seconds == 20


def test_of_a_long_file_the_beginning_alone_is_decoded(tmp_path: Path) -> None:
    source = _sparse_wav(tmp_path / "a", 2400)
    limits = AudioLimits(max_seconds=60.0, max_output_bytes=1 << 20)
    audio = decode(source, tmp_path / "pcm", first_seconds=5.0, limits=limits)
    assert (audio.seconds, audio.warnings, audio.declared_seconds) == (5.0, (), None)
    assert (tmp_path / "pcm").stat().st_size == 5 * 32_000


def test_decoded_bytes_are_bounded_in_all(tmp_path: Path) -> None:
    source = _sparse_wav(tmp_path / "a", 60)
    with pytest.raises(AudioOutOfBounds, match="more than 1000000 bytes"):
        decode(source, tmp_path / "pcm", limits=AudioLimits(max_output_bytes=1_000_000))


@pytest.mark.parametrize("channel", [-1, 1, 7])
def test_a_channel_that_is_not_there_is_an_invalid_option(channel: int, tmp_path: Path) -> None:
    source = _write(tmp_path / "a", wav(tone().tobytes()))
    with pytest.raises(InvalidOption, match=f"no channel {channel}"):
        decode(source, tmp_path / "pcm", channel=channel)


@pytest.mark.parametrize("rate", [4_000, 8_000, 44_100, 192_000, 384_000])
def test_any_accepted_rate_becomes_16_khz(rate: int, tmp_path: Path) -> None:
    source = _write(tmp_path / "a", wav(tone(1.0, rate).tobytes(), rate=rate))
    audio = decode(source, tmp_path / "pcm")
    assert audio.source_sample_rate == rate
    assert audio.samples == pytest.approx(16_000, abs=2)


def test_of_several_audio_streams_the_first_is_used(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        streams = [out.add_stream("pcm_s16le", rate=16_000, layout="mono") for _ in range(2)]
        for stream, level in zip(streams, (1, 0), strict=True):
            frame = av.AudioFrame.from_ndarray(tone().T * level, format="s16", layout="mono")
            frame.sample_rate = 16_000
            out.mux(stream.encode(frame))
    audio = decode(tmp_path / "a.mkv", tmp_path / "pcm")
    assert [warning.code for warning in audio.warnings] == ["several_audio_streams"]
    assert _pcm(tmp_path / "pcm").max() > 7000


def test_a_source_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing):
        decode(tmp_path / "nothing", tmp_path / "pcm")


def test_a_fifo_and_a_directory_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for source in (tmp_path / "fifo", tmp_path):
        with pytest.raises(UnreadableAudio, match="regular file"):
            decode(source, tmp_path / "pcm")


def test_a_failure_leaves_the_former_destination_alone(tmp_path: Path) -> None:
    (tmp_path / "pcm").write_bytes(b"before")
    with pytest.raises(UnreadableAudio):
        decode(_case("text named wav").write(tmp_path), tmp_path / "pcm")
    assert (tmp_path / "pcm").read_bytes() == b"before"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (AudioLimits(max_bytes=1000), "bytes"),
        (AudioLimits(max_seconds=60.0), "longer than"),
        (AudioLimits(max_channels=8), "16 channels"),
        (AudioLimits(max_sample_rate=44_100), "48000 Hz"),
        (AudioLimits(cpu_seconds=1.0, cpu_seconds_per_audio_hour=0.0), "processor time"),
        (AudioLimits(wall_seconds=0.01), "more than 0.01 seconds"),
        (AudioLimits(memory_bytes=64 << 20), "more than 64 MB"),
    ],
    ids=["bytes", "seconds", "channels", "rate", "processor", "wall", "memory"],
)
def test_every_limit_holds(limits: AudioLimits, message: str, tmp_path: Path) -> None:
    source = _sparse_wav(tmp_path / "a", 240)
    with pytest.raises(AudioOutOfBounds, match=message):
        decode(source, tmp_path / "pcm", limits=limits)
    assert not (tmp_path / "pcm").exists()
    assert list(tmp_path.glob(".pcm-*")) == []


def test_length_is_bounded_also_where_no_header_declares_it(tmp_path: Path) -> None:
    source = _write(tmp_path / "a", encoded(".ogg", "libopus", seconds=4.0))
    with pytest.raises(AudioOutOfBounds, match="longer than"):
        decode(source, tmp_path / "pcm", limits=AudioLimits(max_seconds=3.0))


def test_a_full_disk_is_a_fault_that_may_pass(tmp_path: Path) -> None:
    source = _write(tmp_path / "a", wav(tone().tobytes()))
    with source.open("rb") as media, Path("/dev/full").open("wb") as full:
        request = {
            "media": media.fileno(),
            "pcms": [full.fileno()],
            "channel": None,
            "parent": os.getpid(),
            "limits": asdict(AudioLimits()),
        }
        answer = subprocess.run(
            [sys.executable, "-m", "gpu_worker.audio.decoder.program"],
            input=json.dumps(request).encode(),
            pass_fds=(media.fileno(), full.fileno()),
            capture_output=True,
            check=True,
        )
    assert json.loads(answer.stdout)["error"]["code"] == "disk_full"


def _decoder_at_work(worker: psutil.Process, directory: Path) -> psutil.Process:
    """The worker's child, once it has written something."""
    while not any(part.stat().st_size for part in directory.glob(".pcm-*")):
        assert worker.is_running()
    (child,) = (
        child
        for child in worker.children()
        if "gpu_worker.audio.decoder.program" in child.cmdline()
    )
    return child


@pytest.mark.slow
def test_a_decoder_killed_from_outside_may_be_tried_again(tmp_path: Path) -> None:
    source, caught = _sparse_wav(tmp_path / "a", 2400), []

    def work() -> None:
        try:
            decode(source, tmp_path / "pcm")
        except ScriptoriumError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    _decoder_at_work(psutil.Process(), tmp_path).kill()
    thread.join()
    assert [type(error) for error in caught] == [TransientError]
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.slow
def test_the_decoder_dies_with_its_worker_and_inherits_no_secret(tmp_path: Path) -> None:
    source = _sparse_wav(tmp_path / "a", 2400)
    program = (
        "import sys; from pathlib import Path; from gpu_worker.audio.decoding import decode;"
        "decode(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", program, str(source), str(tmp_path / "pcm")],
        env={**os.environ, "AWS_SECRET_ACCESS_KEY": "canary"},
    )
    decoder = _decoder_at_work(psutil.Process(worker.pid), tmp_path)
    with suppress(psutil.AccessDenied):  # to all but root
        assert "canary" not in decoder.environ().values()
    worker.kill()
    worker.wait()
    decoder.wait(timeout=30)


def test_what_was_decoded_survives_json(tmp_path: Path) -> None:
    warning = TranscriptWarning("truncated_audio", "cut", 1.0, 2.0)
    audio = DecodedAudio(16_000, "ab" * 32, 48_000, 2, "aac", "mov", 2.0, (warning,))
    assert DecodedAudio.from_json(json.loads(json.dumps(audio.to_json()))) == audio
    bare = replace(audio, declared_seconds=None, warnings=(), split=("ab", "cd"))
    assert DecodedAudio.from_json(json.loads(json.dumps(bare.to_json()))) == bare
    assert audio.seconds == 1.0


def test_a_wav_written_by_the_standard_library_is_read(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(tone(1.0, 44_100, 2).tobytes())
    audio = decode(tmp_path / "a.wav", tmp_path / "pcm")
    assert (audio.codec, audio.container, audio.channels) == ("pcm_s16le", "wav", 2)
    assert audio.declared_seconds == 1.0

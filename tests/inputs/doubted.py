"""A job whose transcript has doubtful lines, for tests of what people say of them."""

from __future__ import annotations

import numpy as np

from gpu_worker.transcript import (
    Alternative,
    Flag,
    Review,
    Segment,
    Transcript,
    Turn,
    Word,
    transcript_to_json,
)
from orchestrator.cluster.connection import Cluster
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.records import result_record
from tasks.runs.units import Run
from tests.inputs.examples import JOB, TENANT, a_manifest, a_plan, write_records

WRONG, INVENTED, RIGHT = 0, 1, 2  # the lines' places
DOUBTED = Transcript(
    "en",
    12.0,
    (
        Segment(
            0.5,
            2.5,
            "We met an ice cream.",
            (
                Word("We", 0.5, 0.7, 0.9, "SPEAKER_00"),
                Word("met", 0.8, 1.1, 0.9, "SPEAKER_00"),
                Word("an", 1.2, 1.3, 0.4, "SPEAKER_00", doubt=0.4),
                Word("ice", 1.4, 1.7, 0.3, "SPEAKER_00", doubt=0.6),
                Word("cream.", 1.8, 2.4, 0.8, "SPEAKER_00"),
            ),
            speaker="SPEAKER_00",
            flags=(Flag("doubtful_word", 0.3, "'ice' is likely wrong."),),
            alternatives=(Alternative("We met a nice team.", "beam", -0.2),),
        ),
        Segment(
            3.0,
            5.0,
            "Thanks for watching!",
            (
                Word("Thanks", 3.0, 3.5, 0.3),
                Word("for", 3.5, 4.0, 0.3),
                Word("watching!", 4.0, 5.0, 0.3),
            ),
            flags=(Flag("stock_phrase", 0.6, "Models write this in silence."),),
        ),
        Segment(
            6.0,
            8.0,
            "The ship sails at nine.",
            tuple(
                Word(word, 6.0 + at * 0.4, 6.3 + at * 0.4, 0.9)
                for at, word in enumerate(["The", "ship", "sails", "at", "nine."])
            ),
            flags=(Flag("too_fast", 0.2, "It is fast."),),
        ),
        Segment(8.5, 10.0, "No doubt here.", (Word("No", 8.5, 8.9, 0.9),)),
    ),
    turns=(Turn(0.5, 2.5, "SPEAKER_00"),),
    review=(
        Review(3.0, 5.0, 0.6, ("stock_phrase",), INVENTED),
        Review(10.5, 11.5, 0.6, ("no_text",)),
        Review(0.5, 2.5, 0.3, ("doubtful_word",), WRONG),
        Review(6.0, 8.0, 0.2, ("too_fast",), RIGHT),
    ),
)


def publish(
    connection: Cluster, transcript: Transcript | None = DOUBTED, *, run: int = 1, job: str = JOB
) -> str:
    """Write a job that has ended with this transcript; return its id."""
    if run == 1:
        write_records(connection.store, a_manifest(job), a_plan(DOUBTED.duration))
    else:
        connection.store.put(keys.of_run(Run(TENANT, job, run), "started.json"), encode({}))
    record = (
        result_record(canceled=True)
        if transcript is None
        else result_record(transcript=transcript_to_json(transcript))
    )
    connection.store.put(keys.of_run(Run(TENANT, job, run), keys.RESULT), encode(record))
    return job


def publish_sound(connection: Cluster, samples: np.ndarray) -> None:
    """Write the decoded audio of the jobs that `publish` makes; `samples`: -1..1."""
    data = (samples * 32767).astype("<i2").tobytes()
    connection.store.put(keys.pcm(TENANT, a_plan().audio), data)

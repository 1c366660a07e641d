"""A real cluster writes pico's words as a vocabulary says; what was heard and its times stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.cluster.job import Job
from orchestrator.jobs.submission import rerun
from orchestrator.jobs.vocabularies import delete_vocabulary, put_vocabulary
from tasks.runs.vocabulary import Vocabulary
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT, ClusterUnderTest
from tests.integration.conftest import StartCluster

SECONDS = 12


def transcript(cluster: ClusterUnderTest, job: Job) -> dict[str, Any]:
    found: dict[str, Any] = cluster.result(job)["transcript"]
    return found


def computed(cluster: ClusterUnderTest, job: Job) -> set[str]:
    return {
        line["stage"] for line in cluster.events("unit_ended", job) if line["outcome"] == "computed"
    }


def test_words_are_written_another_way_with_true_times_and_nothing_is_transcribed_again(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster()
    samples, _ = recording(SECONDS, seed=8)
    path = write_wav(tmp_path / "talk.wav", samples)
    heard = cluster.wait(
        cluster.submit(path, model="pico", language="en", aligner="cross_attention")
    )
    plain = transcript(cluster, heard)
    words = [word["word"] for word in plain["word_segments"]]
    first, second, third = (word.strip(".,?!").lower() for word in words[:3])
    content = Vocabulary(
        replacements={f"{first} {second}": "PyTorch"}, masked=(third,), mask_style="all"
    )
    put_vocabulary(cluster.connection.store, TENANT, "legal", content)

    named = cluster.wait(
        cluster.submit(
            path, model="pico", language="en", aligner="cross_attention", vocabulary="legal"
        )
    )
    delete_vocabulary(cluster.connection.store, TENANT, "legal")
    again = cluster.wait(rerun(cluster.connection, TENANT, named.id, {}))
    assert cluster.result_bytes(again) == cluster.result_bytes(named)
    assert computed(cluster, named) <= {"prepare", "assemble"}

    written = transcript(cluster, named)
    one, covered = written["word_segments"][:2]
    assert one["word"].startswith("PyTorch") and set(covered["word"].strip(".,?!")) == {"*"}
    assert one["spoken"] == " ".join(words[:2])
    assert one["start"] == plain["word_segments"][0]["start"]
    assert one["end"] == plain["word_segments"][1]["end"]
    assert covered["spoken"] == words[2]
    segments = zip(written["segments"], plain["segments"], strict=True)
    assert all(new.get("spoken", new["text"]) == old["text"] for new, old in segments)
    assert written["text"].startswith("PyTorch")

"""What was computed once is not computed again: the artifacts are the result cache."""

from __future__ import annotations

from pathlib import Path

from orchestrator.cluster.job import Job
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import PATIENT, ClusterUnderTest
from tests.integration.conftest import StartCluster


def computed(cluster: ClusterUnderTest, job: Job) -> list[str]:
    """The stages of a job that did not find their artifact."""
    return [
        line["stage"] for line in cluster.events("unit_ended", job) if line["outcome"] == "computed"
    ]


def test_a_file_submitted_again_costs_no_transcription_and_other_options_only_what_they_change(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=1, **PATIENT)
    path = write_wav(tmp_path / "speech.wav", recording(60, seed=70)[0])
    chunks = 4

    def stages(**options: object) -> list[str]:
        job = cluster.wait(cluster.submit(path, chunk_seconds=15.5, **options))
        assert job.status == "completed"
        assert job.chunks.done == job.chunks.total == chunks
        return computed(cluster, job)

    first = stages(model="pico")
    again = stages(model="pico")
    smaller_batch = stages(model="pico", batch_size=2)
    beams = stages(model="pico", beam_size=3)
    given = stages(model="pico", language="en")
    spanish = stages(model="pico", language="es")

    print(f"\nfirst {first}\nagain {again}\nbeam_size {beams}\nlanguage es {spanish}")
    all_chunks = ["transcribe"] * chunks
    assert first == ["prepare", "detect_language", *all_chunks, "assemble"]
    # `prepare` writes each job's plan; it fetched and decoded nothing.
    assert again == smaller_batch == given == ["prepare", "assemble"]
    assert beams == spanish == ["prepare", *all_chunks, "assemble"]


def test_the_same_file_submitted_twice_at_once_is_transcribed_once(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=2, lease_seconds=PATIENT["lease_seconds"])
    path = write_wav(tmp_path / "speech.wav", recording(60, seed=71)[0])
    options = {"model": "fake-10x", "chunk_seconds": 10.0, "language": "en"}
    jobs = [cluster.submit(path, **options) for _ in range(2)]
    assert [cluster.wait(job).status for job in jobs] == ["completed", "completed"]
    assert cluster.result_bytes(jobs[0]) == cluster.result_bytes(jobs[1])
    transcribed = [stage for job in jobs for stage in computed(cluster, job)].count("transcribe")
    assert transcribed == cluster.wait(jobs[0]).chunks.total

"""A file of several languages is heard, and its words are timed, in each of them."""

from __future__ import annotations

from pathlib import Path

from tests.inputs.speech import recording, write_wav
from tests.integration.conftest import StartCluster


def test_each_part_of_a_file_is_in_its_own_language(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    """English and Spanish sentences in turn, in two chunks; one language would be half wrong."""
    samples, said = recording(40, language=None)
    cluster = start_cluster(workers=1)
    file = write_wav(tmp_path / "two.wav", samples)
    several = cluster.submit(
        file, model="pico", languages=("en", "es"), aligner="ctc", chunk_seconds=20
    )
    assert cluster.wait(several).status == "completed"
    transcript = cluster.result(several)["transcript"]
    assert transcript["language"] == "en"
    assert transcript["warnings"] == []
    lines = [
        (line["start"], line["end"], line.get("language", "en")) for line in transcript["segments"]
    ]
    right = [
        language == sentence.language
        for sentence in said
        for start, end, language in lines
        if start <= (sentence.start + sentence.end) / 2 <= end
    ]
    assert len(right) >= 0.9 * len(said)
    assert sum(right) >= 0.9 * len(right)
    assert {line.get("language") for line in transcript["segments"]} == {None, "es"}
    assert all(word["score"] > 0 for word in transcript["word_segments"])

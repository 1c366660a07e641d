"""`plan`: work out GPUs, workers, memory, store and cost before there is a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from gpu_worker.errors import InvalidOption
from orchestrator.cli.context import AsJson, current_settings, opened_cluster, print_json
from orchestrator.planning.demand import MIXED, Demand, FileLengths
from orchestrator.planning.plan import ClusterPlan, Fleet, Prices, Workers, make_plan
from orchestrator.scaling.backlog import speed_of
from orchestrator.scaling.pools import worker_pools
from tasks.runs.stages import Pool, Stage
from tasks.state.speeds import Speeds

_FILES = re.compile(r"(?P<share>[\d.]+):(?P<shortest>[\d.]+)-(?P<longest>[\d.]+)")
_MB_OF_KBITS = 3600 / 8 / 1000  # of an hour at so many kbit/s
# What each file goes through; speakers only where they are asked for.
_OF_ALL = (Stage.TRANSCRIBE, Stage.ALIGN, Stage.PREPARE, Stage.ASSEMBLE)
_OF_SPEAKERS = (Stage.EMBED_SPEAKERS, Stage.DIARIZE)
_HEADS = ("", "GPUs", "GPU-hours a day", "median wait s", "95 % wait s", "cost a day")


def plan(
    hours_per_day: Annotated[float, typer.Option(help="Hours of audio that come on a day.")],
    peak: Annotated[
        float, typer.Option(help="The busiest moment's rate, as a multiple of the day's mean.")
    ] = 1.0,
    files: Annotated[
        list[str] | None,
        typer.Option(
            help="SHARE:MINUTES-MINUTES of files, again for each kind; 0.8:1-10 0.2:30-90."
        ),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(help="Seconds of audio that one GPU does in a second, all its stages."),
    ] = None,
    cpu_speed: Annotated[float | None, typer.Option(help="The same of one CPU worker.")] = None,
    measured: Annotated[
        bool, typer.Option("--measured", help="Take both speeds from the running cluster.")
    ] = False,
    diarize: Annotated[bool, typer.Option(help="Speakers are told apart.")] = False,
    wait_minutes: Annotated[
        float, typer.Option(min=0, help="That 95 % of files may wait, besides their own work.")
    ] = 5.0,
    start_seconds: Annotated[
        float, typer.Option(min=0, help="From the moment a GPU is wanted until it works.")
    ] = 90.0,
    keep_days: Annotated[
        float, typer.Option(min=0, help="Days that the store keeps files.")
    ] = 30.0,
    source_kbits: Annotated[float, typer.Option(min=1, help="Bit rate of the files.")] = 64.0,
    gpu_hour: Annotated[float, typer.Option(min=0, help="Price of a GPU for an hour.")] = 0.0,
    cpu_worker_hour: Annotated[
        float, typer.Option(min=0, help="Price of a CPU worker for an hour.")
    ] = 0.0,
    gigabyte_month: Annotated[
        float, typer.Option(min=0, help="Price of a GB in the store for a month.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Plan a cluster: GPUs, CPU workers, Redis' memory, the store's growth and the cost.

    Needs no cluster. Speeds that are not given are first guesses; measure your own (--measured).
    """
    demand = Demand(hours_per_day, peak, tuple(map(_kind, files)) if files else MIXED)
    used = (*_OF_ALL, *_OF_SPEAKERS) if diarize else _OF_ALL
    speeds = _measured(used) if measured else _guessed(used)
    workers = Workers(
        gpu_speed=speeds[Pool.GPU] if speed is None else speed,
        cpu_speed=speeds[Pool.CPU] if cpu_speed is None else cpu_speed,
        start_seconds=start_seconds,
        wait_seconds=60 * wait_minutes,
    )
    found = make_plan(
        demand,
        workers,
        keep_days=keep_days,
        source_mb=source_kbits * _MB_OF_KBITS,
        prices=Prices(gpu_hour, cpu_worker_hour, gigabyte_month),
    )
    given = {"--speed": speed, "--cpu-speed": cpu_speed}
    guessed = [] if measured else [name for name, value in given.items() if value is None]
    if as_json:
        print_json({"workers": asdict(workers), "guessed": guessed, **asdict(found)})
        return
    _print(found, workers, guessed)


def _kind(text: str) -> FileLengths:
    found = _FILES.fullmatch(text)
    if not found:
        raise InvalidOption(
            f"{text!r} is no kind of files.", hint="Write SHARE:MINUTES-MINUTES, such as 0.8:1-10."
        )
    try:
        share, shortest, longest = map(float, found.groups())
    except ValueError as error:
        raise InvalidOption(f"{text!r} has a number that cannot be read.") from error
    return FileLengths(share, 60 * shortest, 60 * longest)


def _guessed(stages: Iterable[Stage]) -> dict[Pool, float]:
    """Return the first guesses of a worker's speed: a GPU has one, a CPU worker one a process."""
    processes = worker_pools(current_settings().pools)[Pool.CPU].concurrency
    return {
        pool: (processes if pool is Pool.CPU else 1)
        / sum(1 / it.definition.first_speed for it in stages if it.pool is pool)
        for pool in Pool
    }


def _measured(stages: Iterable[Stage]) -> dict[Pool, float]:
    """Return what a worker of the running cluster does. Raises InvalidOption without a figure."""
    to = opened_cluster()
    speeds, pools = Speeds(to.redis).read(), worker_pools(to.settings.pools)
    missing = sorted(set(stages) - {name.stage for name in speeds})
    if missing:
        raise InvalidOption(
            f"The cluster has measured no speed of {', '.join(missing)} yet.",
            hint="Let it do some files first, or give --speed and --cpu-speed.",
        )
    return {
        pool: pools[pool].concurrency
        / sum(
            1 / speed_of(pools[pool], it, to.settings.model, speeds)
            for it in stages
            if it.pool is pool
        )
        for pool in Pool
    }


def _print(found: ClusterPlan, workers: Workers, guessed: Sequence[str]) -> None:
    console = Console(highlight=False)
    table = Table(*(Column(it, justify="right" if it else "left") for it in _HEADS), box=None)
    costs = {"by the load": found.scaled_cost, "always on": found.always_on_cost}
    for (name, cost), fleet in zip(costs.items(), (found.scaled, found.always_on), strict=True):
        table.add_row(name, *_cells(fleet), f"{cost:,.2f}" if cost else "")
    console.print(table)
    console.print(f"busy at the peak  {found.busy_gpus:.1f} GPUs, each {workers.gpu_speed:.0f} x")
    console.print(f"CPU workers       {found.cpu_workers}, each {workers.cpu_speed:.0f} x")
    console.print(f"Redis             {_bytes(found.redis_bytes)}; give it twice that")
    a_day, kept = _bytes(found.store_bytes_a_day), _bytes(found.kept_bytes)
    console.print(f"store             {a_day} a day, {kept} kept")
    if not (found.scaled.reaches and found.always_on.reaches):
        console.print(
            f"Where a row says more than {workers.wait_seconds:.0f} s no number of GPUs is enough: "
            "a worker takes that long to start."
        )
    if guessed:
        console.print(
            f"A guess, not measured: {' and '.join(guessed)}. Run your own files, then --measured."
        )


def _cells(fleet: Fleet) -> tuple[str, ...]:
    waits = (f"{fleet.median_wait:.0f}", f"{fleet.high_wait:.0f}")
    return (str(fleet.gpus), f"{fleet.gpu_hours:,.1f}", *waits)


def _bytes(count: float) -> str:
    for unit in ("MB", "GB"):
        if count < 1e9 * (1000 if unit == "GB" else 1):
            return f"{count / (1e6 if unit == 'MB' else 1e9):,.0f} {unit}"
    return f"{count / 1e12:,.1f} TB"

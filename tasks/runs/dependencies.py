"""Which units a run is made of. Pure.

once planned     detect_language, if the job leaves its language or its models open

for each chunk   transcribe → align
for each shard   embed_speakers
then             diarize → assemble
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from gpu_worker.alignment.models import is_local
from gpu_worker.models.builtin import builtin_model
from gpu_worker.models.whisper import AUTO
from tasks.runs.manifest import Plan
from tasks.runs.options import JobOptions
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit


def is_settled(options: JobOptions) -> bool:
    """Tell whether the options fix all models, so that no worker need look which are available.

    Models in the package and in directories are always available. A missing model that a
    submitter has named ends the job, except the aligner's: words then keep the engine's times.
    """
    if options.model == AUTO:
        return False
    brings_its_own = builtin_model(options.model) is not None
    if options.diarizes and options.diarize_model is None and not brings_its_own:
        return False
    if not options.aligns or (options.align_model is None and brings_its_own):
        return True
    return options.align_model is not None and is_local(options.align_model)


def needs_detection(options: JobOptions) -> bool:
    """Tell whether `detect_language` must find the language or the models before `fan_out`."""
    is_told = options.language is not None or options.languages is not None
    return not is_told or not is_settled(options)


def chunk_stages(options: JobOptions) -> tuple[Stage, ...]:
    """Return the stages of each chunk, in order."""
    return (Stage.TRANSCRIBE, Stage.ALIGN) if options.aligns else (Stage.TRANSCRIBE,)


def header_chains(run: Run, options: JobOptions, plan: Plan) -> tuple[tuple[Unit, ...], ...]:
    """Return a chain of units for each chunk and each shard; chains can run side by side."""
    stages = chunk_stages(options)
    chunks = (
        tuple(run.unit(stage, index) for stage in stages) for index in range(len(plan.chunks))
    )
    shards = ((run.unit(Stage.EMBED_SPEAKERS, index),) for index in range(plan.shards(options)))
    return (*chunks, *shards)


def fan_in(run: Run, options: JobOptions, plan: Plan) -> tuple[Unit, ...]:
    """Return the units that follow when all chains have ended, in order."""
    stages = (Stage.DIARIZE, Stage.ASSEMBLE) if plan.shards(options) else (Stage.ASSEMBLE,)
    return tuple(run.unit(stage) for stage in stages)


def open_units(
    chain: Sequence[Unit],
    settled: Container[tuple[Stage, int]],
    failed: Container[tuple[Stage, int]],
) -> tuple[Unit, ...]:
    """Return the units of a chain that are still to be done, in order.

    `settled` are the units with an artifact or a written failure, `failed` those with a failure.
    Nothing is open behind a failed stage that feeds its chain: what was not transcribed is never
    aligned.
    """
    found = []
    for unit in chain:
        place = (unit.stage, unit.index)
        if place not in settled:
            found.append(unit)
        elif unit.stage.definition.feeds_chain and place in failed:
            break
    return tuple(found)


def downstream(unit: Unit, options: JobOptions, plan: Plan) -> tuple[Unit, ...]:
    """Return the unit and those after it in its chain or in the fan-in."""
    chains = (*header_chains(unit.run, options, plan), fan_in(unit.run, options, plan))
    for chain in chains:
        if unit in chain:
            return chain[chain.index(unit) :]
    return (unit,)


def chains_before(unit: Unit, options: JobOptions, plan: Plan) -> tuple[tuple[Unit, ...], ...]:
    """Return the units that must end before this one, as chains like those of `header_chains`.

    Empty for the first unit of a chain.
    """
    headers = header_chains(unit.run, options, plan)
    for chain in headers:
        if unit in chain:
            return (chain[: chain.index(unit)],) if unit != chain[0] else ()
    last = fan_in(unit.run, options, plan)
    return (*headers, last[: last.index(unit)]) if unit in last else ()

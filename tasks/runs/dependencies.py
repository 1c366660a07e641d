"""Which units a run is made of. Pure.

once planned     detect_language, if the job leaves its language or its models open

for each chunk   transcribe → align
for each shard   embed_speakers
then             diarize → assemble
"""

from __future__ import annotations

from gpu_worker.alignment.models import is_local
from gpu_worker.models.whisper import AUTO, FAKE_NAME
from tasks.runs.manifest import Plan
from tasks.runs.options import JobOptions
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit


def is_settled(options: JobOptions) -> bool:
    """Whether no worker need find out which models can be had.

    Models in the package and in directories always can. Of those that a submitter has named only
    the aligner's may be missing without an end: words keep the engine's times then.
    """
    if options.model == AUTO:
        return False
    brings_its_own = options.model == "pico" or FAKE_NAME.match(options.model) is not None
    if options.diarizes and options.diarize_model is None and not brings_its_own:
        return False
    if not options.aligns or (options.align_model is None and brings_its_own):
        return True
    return options.align_model is not None and is_local(options.align_model)


def needs_detection(options: JobOptions) -> bool:
    """Whether a worker must find out the language or the models before chunks are spread."""
    return options.language is None or not is_settled(options)


def chunk_stages(options: JobOptions) -> tuple[Stage, ...]:
    """What is done to each chunk, in this order."""
    return (Stage.TRANSCRIBE, Stage.ALIGN) if options.aligns else (Stage.TRANSCRIBE,)


def header_chains(run: Run, options: JobOptions, plan: Plan) -> tuple[tuple[Unit, ...], ...]:
    """What can be done side by side: units that follow one another, for each chunk and shard."""
    stages = chunk_stages(options)
    chunks = (
        tuple(run.unit(stage, index) for stage in stages) for index in range(len(plan.chunks))
    )
    shards = ((run.unit(Stage.EMBED_SPEAKERS, index),) for index in range(plan.shards(options)))
    return (*chunks, *shards)


def fan_in(run: Run, options: JobOptions, plan: Plan) -> tuple[Unit, ...]:
    """What follows on all of them, in this order."""
    stages = (Stage.DIARIZE, Stage.ASSEMBLE) if plan.shards(options) else (Stage.ASSEMBLE,)
    return tuple(run.unit(stage) for stage in stages)


def downstream(unit: Unit, options: JobOptions, plan: Plan) -> tuple[Unit, ...]:
    """The unit and those that follow on it alone."""
    chains = (*header_chains(unit.run, options, plan), fan_in(unit.run, options, plan))
    for chain in chains:
        if unit in chain:
            return chain[chain.index(unit) :]
    return (unit,)


def chains_before(unit: Unit, options: JobOptions, plan: Plan) -> tuple[tuple[Unit, ...], ...]:
    """What the unit needs, in chains like those of `header_chains`; empty for the first of one."""
    headers = header_chains(unit.run, options, plan)
    for chain in headers:
        if unit in chain:
            return (chain[: chain.index(unit)],) if unit != chain[0] else ()
    last = fan_in(unit.run, options, plan)
    return (*headers, last[: last.index(unit)]) if unit in last else ()

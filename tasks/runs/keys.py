"""The keys of all artifacts.

The key of a stage's artifact has the tenant, the audio, the span and a digest of exactly those
options that change it; so a retry, a resume and a second submission find it.

    open/<tenant>/<job>/<run>                      the run has no result yet
    outbox/<tenant>/<job>/<run>                    it has ended; a webhook or files are owed
    deleted/<tenant>/<job>                         the job is deleted; parts of it may be left
    pending/<tenant>/<upload>                      announced, and not submitted so far
    dead-letters/<tenant>/<job>/<run>/<stage>/<index>
    dead-letters-triggers/<message>.json           an event that could not become a job
    tenants/<tenant>/sources/<sha256>              bytes as submitted
    tenants/<tenant>/uploads/<upload>              bytes put there by an upload URL
    tenants/<tenant>/uses/<content>/<job>          a claim: the job needs that content
    tenants/<tenant>/releasing/<content>           a mark: that content is being deleted
    tenants/<tenant>/idempotency/<sha256>          the job of an idempotency key
    tenants/<tenant>/jobs/<job>/manifest.json
                               /plan.json
                               /uses/<content>     that prepare has claimed
                               /speakers/<version>.json, corrections/<run>/<version>.json
                               /runs/<run>/started.json, failed/…, canceled, timings.json
                               /runs/<run>/choice.json        the models that were chosen
                               /runs/<run>/delivery/<part>/<try>, <part>.json   deliveries
                               /runs/<run>/result.json        the commit point
    tenants/<tenant>/prepared/<sha256>-<digest>.json
    tenants/<tenant>/audio/<sha256>/pcm            mono, 16 kHz, s16le
                                   /chunks-<digest>.json
                                   /language-<digest>.json
                                   /transcribe/<first>-<last>-<digest>.json
                                   /align/<first>-<last>-<digest>.json
                                   /embed_speakers/<shard>-<digest>.npz, and .npz.receipt.json
                                   /diarize-<digest>.json
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from hashlib import sha256
from typing import Any

from gpu_worker.diarization.models import diarize_model
from tasks.runs.options import JobOptions
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit

TENANTS = "tenants/"
OPEN = "open/"
OUTBOX = "outbox/"
DELETED = "deleted/"
PENDING = "pending/"
DEAD_LETTERS = "dead-letters/"
DEAD_TRIGGERS = "dead-letters-triggers/"
CHOICE = "choice.json"  # of a run
RESULT = "result.json"  # likewise; the commit point


def digest(stage: Stage, values: dict[str, Any]) -> str:
    """Return 16 hex digits that name a stage, its version and these values, on every machine."""
    text = json.dumps([stage.value, stage.definition.version, values], sort_keys=True)
    return sha256(text.encode("utf-8")).hexdigest()[:16]


def open_run(run: Run) -> str:
    return OPEN + run.name


def owed(run: Run) -> str:
    return OUTBOX + run.name


def tombstone(tenant: str, job: str) -> str:
    return f"{DELETED}{tenant}/{job}"


def dead_letter(unit: Unit) -> str:
    return DEAD_LETTERS + unit.name


def dead_trigger(message: str) -> str:
    return f"{DEAD_TRIGGERS}{message}.json"


def source(tenant: str, checksum: str) -> str:
    return f"tenants/{tenant}/sources/{checksum}"


def upload(tenant: str, upload: str) -> str:
    return f"tenants/{tenant}/uploads/{upload}"


def behind(folder: str) -> str:
    """Return what sorts behind every key of a folder, and before all that follow it."""
    return folder.removesuffix("/") + "0"  # the character after the slash


def pending(tenant: str, upload: str) -> str:
    return f"{PENDING}{tenant}/{upload}"


def content(key: str) -> str:
    """Return the part of a source's, upload's, audio's or claim's key by which `uses` names it."""
    return key.split("/")[3]


def claims(tenant: str) -> str:
    """Return the folder of the claims on all contents of a tenant."""
    return f"tenants/{tenant}/uses/"


def uses(tenant: str, content: str) -> str:
    """Return the folder of the claims: an entry for each job that needs the content."""
    return f"{claims(tenant)}{content}/"


def releasing(tenant: str, content: str) -> str:
    return f"tenants/{tenant}/releasing/{content}"


def idempotency(tenant: str, key: str) -> str:
    return f"tenants/{tenant}/idempotency/{sha256(key.encode()).hexdigest()}"


def jobs(tenant: str) -> str:
    return f"tenants/{tenant}/jobs/"


def job(tenant: str, job: str, folder: str = "") -> str:
    """Return a job's own folder, or the folder `uses/`, `speakers/` or `corrections/`."""
    return f"{jobs(tenant)}{job}/{folder}"


def manifest(tenant: str, job: str) -> str:
    return f"{jobs(tenant)}{job}/manifest.json"


def plan(tenant: str, job: str) -> str:
    return f"{jobs(tenant)}{job}/plan.json"


def runs(tenant: str, job: str) -> str:
    return f"{jobs(tenant)}{job}/runs/"


def of_run(run: Run, name: str) -> str:
    """Return a key of a run; `name` is started.json, canceled, CHOICE, timings.json or RESULT."""
    return f"{runs(run.tenant, run.job)}{run.number}/{name}"


def tries(run: Run, part: str) -> str:
    """Return the folder with an entry for each try to deliver a part: a webhook or files."""
    return of_run(run, f"delivery/{part}/")


def delivered(run: Run, part: str) -> str:
    return of_run(run, f"delivery/{part}.json")


def failed(unit: Unit) -> str:
    return of_run(unit.run, f"failed/{unit.key_in_run}.json")


def prepared(tenant: str, checksum: str, options: JobOptions) -> str:
    split = {"channels": "split"} if options.channels == "split" else {}
    track = {} if options.audio_track is None else {"audio_track": options.audio_track}
    mark = digest(Stage.PREPARE, {"channel": options.channel} | split | track)
    return f"tenants/{tenant}/prepared/{checksum}-{mark}.json"


def pcm(tenant: str, audio: str) -> str:
    return f"tenants/{tenant}/audio/{audio}/pcm"


def made_of(tenant: str, content: str) -> tuple[str, str]:
    """Return the prefixes of all keys that are derived from a source, an upload or an audio."""
    return f"tenants/{tenant}/prepared/{content}-", f"tenants/{tenant}/audio/{content}/"


def anchor(key: str) -> str | None:
    """Return the key of the audio that an artifact was made of, and with which it is deleted.

    None for all that may change or be deleted by itself: workers must keep no copy of it.
    """
    made = r"pcm|embed_speakers/[^/]+\.npz|(transcribe/|align/|chunks-|language-|diarize-).+\.json"
    found = re.fullmatch(rf"(tenants/[^/]+/audio/[0-9a-f]{{64}}/)({made})", key)
    return f"{found[1]}pcm" if found else None


def chunks(tenant: str, audio: str, options: JobOptions) -> str:
    used = _used(Stage.FAN_OUT, options)
    return f"tenants/{tenant}/audio/{audio}/chunks-{digest(Stage.FAN_OUT, used)}.json"


def language(tenant: str, audio: str, options: JobOptions) -> str:
    mark = digest(Stage.DETECT_LANGUAGE, _used(Stage.DETECT_LANGUAGE, options))
    return f"tenants/{tenant}/audio/{audio}/language-{mark}.json"


def of_chunk(
    stage: Stage,
    tenant: str,
    audio: str,
    chunk: tuple[int, int],
    options: JobOptions,
    spoken: str | None,
) -> str:
    """Return the key of what a stage makes of a chunk; `spoken` is the code of its language."""
    return marked_chunk(stage, tenant, audio, chunk, chunk_mark(stage, options, spoken))


def marked_chunk(stage: Stage, tenant: str, audio: str, chunk: tuple[int, int], mark: str) -> str:
    """Return what `of_chunk` does, for a mark that `chunk_mark` gave."""
    first, last = chunk
    return f"tenants/{tenant}/audio/{audio}/{stage.value}/{first}-{last}-{mark}.json"


def embedded(tenant: str, audio: str, shard: int, options: JobOptions) -> str:
    return f"tenants/{tenant}/audio/{audio}/embed_speakers/{shard}-{_embed_mark(options)}.npz"


def diarized(tenant: str, audio: str, options: JobOptions) -> str:
    values = _used(Stage.DIARIZE, options)
    mark = digest(Stage.DIARIZE, values | {"voices": _embed_mark(options)})
    return f"tenants/{tenant}/audio/{audio}/diarize-{mark}.json"


def receipt(key: str) -> str:
    """Return the key of the receipt of an artifact that is not JSON."""
    return f"{key}.receipt.json"


# The control plane asks for the keys of thousands of chunks of the same few options.
@lru_cache(maxsize=1024)
def chunk_mark(stage: Stage, options: JobOptions, spoken: str | None) -> str:
    """Return the digest of all that changes what a stage makes of a chunk but its audio."""
    source: dict[str, Any] = {"language": spoken}
    if stage is Stage.ALIGN:
        source = {"words": chunk_mark(Stage.TRANSCRIBE, options, spoken)}
    return digest(stage, _used(stage, options) | source)


def _embed_mark(options: JobOptions) -> str:
    model = diarize_model(options.model, options.diarize_model)
    return digest(Stage.EMBED_SPEAKERS, {"model": model, "shard_seconds": options.shard_seconds})


def _used(stage: Stage, options: JobOptions) -> dict[str, Any]:
    """Return the options that change the stage's artifact, as JSON; newer ones only if set."""
    return options.model_dump(mode="json", include={*stage.definition.options} - options.unset)

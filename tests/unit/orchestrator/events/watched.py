"""A job whose units settle when a test says so, each as its task would leave it."""

from __future__ import annotations

from gpu_worker.errors import ChunkCrashed
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.deletion import delete_job
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.runs.units import Unit
from tasks.state.receipts import Receipt
from tests.inputs.examples import TENANT, a_manifest, a_plan, a_run, a_unit, write_records


class WatchedJob:
    """Accepted; nothing is done yet."""

    def __init__(self, connection: Cluster, job: str = "job-1", chunks: int = 3) -> None:
        self.connection = connection
        self.id = job
        self.chunks = chunks
        manifest = a_manifest(job)
        plan = a_plan(*[10.0] * chunks)
        write_records(connection.store, manifest, plan)
        connection.store.put(keys.pcm(TENANT, plan.audio), b"")
        connection.jobs.add(manifest, a_run(job=job))

    def unit(self, stage: Stage, index: int = 0, run: int = 1) -> Unit:
        return a_unit(stage, index, job=self.id, run=run)

    def prepare(self, run: int = 1) -> None:
        self.connection.ledger.record(self.unit(Stage.PREPARE, run=run), Receipt("computed"))

    def transcribe(self, index: int, run: int = 1) -> None:
        unit = self.unit(Stage.TRANSCRIBE, index, run)
        segments = [{"start": index * 10.0, "end": index * 10.0 + 1, "text": f"chunk {index}"}]
        data = {"windows": [{"spans": [], "segments": segments}]}
        self.connection.store.put(self.connection.records.key(unit), encode(data))
        self.connection.ledger.record(unit, Receipt("computed"))

    def give_up(self, index: int) -> None:
        unit = self.unit(Stage.TRANSCRIBE, index)
        self.connection.ledger.record(unit, Receipt("failed", detail=ChunkCrashed().to_json()))

    def publish(self, run: int = 1, *, error: bool = False) -> None:
        unit = self.unit(Stage.ASSEMBLE, run=run)
        transcript = {"language": "en", "segments": [], "warnings": []}
        record = (
            result_record(error=ChunkCrashed().to_json())
            if error
            else result_record(transcript=transcript)
        )
        self.connection.store.put(keys.of_run(unit.run, keys.RESULT), encode(record))
        self.connection.ledger.record(unit, Receipt("computed"))

    def do_all(self) -> None:
        self.prepare()
        for index in range(self.chunks):
            self.transcribe(index)
        self.publish()

    def delete(self) -> None:
        delete_job(self.connection, TENANT, self.id)

"""A message that carries code is never decoded, by whatever way it came into a queue."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kombu.connection import Connection

from tasks.fair_queue import lengths, lists
from tasks.runs.stages import queues
from tests.eventually import eventually
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import ClusterUnderTest, quick_settings
from tests.integration.faults.conftest import Figure

NAMES = ("application/x-python-serialize", "pickle", "application/x-yaml", "application/json")


class Evil:
    """What runs if it is decoded."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.proof,))


@pytest.mark.fault(
    "messages with pickled code in every queue, under four content types",
    "no worker decodes them, each is taken off its queue, and a job beside them completes",
)
def test_no_worker_decodes_a_pickle(tmp_path: Path, figure: Figure) -> None:
    proof = tmp_path / "decoded"
    body = pickle.dumps([[Evil(proof)], {}, {}])
    assert pickle.loads(body) and proof.exists()  # it would
    proof.unlink()
    settings = quick_settings(tmp_path / "home")
    with ClusterUnderTest(settings, workers=1, celery_trigger=True) as cluster:
        address = cluster.connection.settings.redis_url
        assert address is not None
        sent = 0
        with Connection(address.get_secret_value()) as broker, broker.Producer() as producer:
            for queue in (*queues(), "submit"):
                for name in NAMES:
                    headers = {"task": "scriptorium.prepare", "id": str(uuid4()), "lang": "py"}
                    producer.publish(
                        body, routing_key=queue, content_type=name, content_encoding="binary",
                        headers=headers, serializer=None,
                    )  # fmt: skip
                    sent += 1
        job = cluster.submit(
            write_wav(tmp_path / "good.wav", recording(20, seed=90)[0]), model="fake", language="en"
        )
        assert cluster.wait(job).status == "completed"
        redis = cluster.connection.redis
        assert eventually(lambda: not lengths(redis, [*lists(redis, queues()), "submit"]))
        assert eventually(lambda: not redis.hlen("unacked"))
        logs = "".join(path.read_text() for path in cluster.local.logs.glob("*.log"))
    figure(f"{sent} pickles in {len(queues()) + 1} queues: decoded {int(proof.exists())}")
    assert not proof.exists()
    assert "prepare" in logs and json.dumps(str(proof)) not in logs

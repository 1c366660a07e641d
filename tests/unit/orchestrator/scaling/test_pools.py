"""The pools of workers, as the settings name them."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_worker.errors import InvalidOption
from orchestrator.scaling.pools import worker_pools
from tasks.runs.stages import Pool, Stage


def test_by_default_there_is_a_pool_of_each_kind() -> None:
    pools = worker_pools({})
    assert {name: pool.kind for name, pool in pools.items()} == {"cpu": Pool.CPU, "gpu": Pool.GPU}
    assert pools["cpu"].work | pools["gpu"].work == set(Stage)
    assert not pools["cpu"].work & pools["gpu"].work


def test_a_setting_changes_one_limit_and_leaves_the_others() -> None:
    pools = worker_pools({"cpu": {"maximum": 9}})
    assert (pools["cpu"].minimum, pools["cpu"].maximum, pools["cpu"].concurrency) == (1, 9, 2)


def test_a_pool_of_its_own_does_the_stages_that_it_names() -> None:
    pool = worker_pools({"mig": {"stages": ["align", "embed_speakers"], "maximum": 2}})["mig"]
    assert pool.work == {Stage.ALIGN, Stage.EMBED_SPEAKERS}
    assert pool.kind is Pool.GPU


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"gpu": {"maximum": -1}}, "gpu.maximum"),
        ({"gpu": {"minimum": 9}}, "minimum must not be above maximum"),
        ({"gpu": {"stages": ["prepare"]}}, "prepare is not done by gpu workers"),
        ({"gpu": {"stages": ["sing"]}}, "gpu.stages"),
        ({"gpu": {"max": 1}}, "gpu.max"),
        ({"Big GPU": {}}, "Big GPU.name"),
        ({"gpu": {"share": 0}}, "gpu.share"),
    ],
)
def test_what_cannot_be_a_pool_is_refused(given: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidOption, match="SCRIPTORIUM_POOLS is not valid") as error:
        worker_pools(given)
    assert word in error.value.message

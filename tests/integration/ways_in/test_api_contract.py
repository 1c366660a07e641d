"""The OpenAPI document against the real API of a real cluster: schemathesis tries every route.

Every check is on but one: `positive_data_acceptance`, since what is well formed may still name
a model, a bucket or an upload that is not there, or options that contradict one another.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pydantic import SecretStr

from orchestrator.access import EVERY_SCOPE
from orchestrator.access.keys import ApiKeys
from tests.integration.cluster import TENANT, ClusterUnderTest, quick_settings
from tests.servers.api import serving

SEED = 4
EXAMPLES = 12  # of each operation, in each phase
SLOWEST_SECONDS = 30


RULES = """
[[rule]]
bucket = "recordings"
"""


def test_the_api_does_what_its_document_says(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(RULES)
    settings = quick_settings(
        tmp_path / "home",
        hooks_secret=SecretStr("h" * 16),
        trigger_rules=tmp_path / "rules.toml",
        allow_urls=True,
        webhook_key=SecretStr("0" * 32),
    )
    with ClusterUnderTest(settings, workers=1) as cluster:
        keys = ApiKeys(cluster.connection.store, cluster.connection.settings)
        secret, _ = keys.create(TENANT, "contract", EVERY_SCOPE)
        with serving(cluster.connection) as url:
            command = (
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
                *("--header", f"Authorization: Bearer {secret}"),
                *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
                *("--phases", "examples,coverage,fuzzing,stateful"),
                *("--max-examples", str(EXAMPLES), "--seed", str(SEED)),
                *("--request-timeout", str(SLOWEST_SECONDS), "--suppress-health-check", "all"),
                *("--generation-database", "none", "--continue-on-failure", "--no-color"),
            )
            ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-5_000:]

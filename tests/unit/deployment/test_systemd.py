"""The systemd units: what systemd says of them, and what they promise about stop and restart."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.settings import Settings
from orchestrator.cli.commands import app
from tasks.artifacts.opening import PATIENT
from tests.deployment.systemd import (
    INSTALLED,
    UNITS,
    command_of,
    read_unit,
    seconds_of,
    services,
    variables_of,
)

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(
    ANALYZE is None, reason="systemd-analyze is missing: apt-get install systemd"
)
every_service = pytest.mark.parametrize("path", services(), ids=lambda path: path.stem)
NEWER = re.compile(r"Unknown key '(RestartSteps|RestartMaxDelaySec)'")  # systemd 254
WORST_EXPOSURE = {"scriptorium-api": 2.0, "scriptorium-reconciler": 2.0}
INSTANCES = ("0", "GPU-1a2b3c4d-0000-1111-2222-333344445555")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units, with a program that is there, and two instances of the template."""
    for path in UNITS.glob("scriptorium*"):
        text = path.read_text().replace(INSTALLED, f"{sys.executable}")
        names = [path.name.replace("@", f"@{one}") for one in INSTANCES if "@" in path.name]
        for name in names or [path.name]:
            (tmp_path / name).write_text(text)
    return tmp_path


@needs_systemd
@pytest.mark.slow
def test_systemd_finds_nothing_wrong_with_any_unit(installed: Path) -> None:
    units = [path for path in installed.iterdir() if path.suffix in (".service", ".target")]
    done = subprocess.run(
        [str(ANALYZE), "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "scriptorium" in line]
    assert done.returncode == 0, done.stderr
    assert [line for line in ours if not NEWER.search(line)] == []


@needs_systemd
@pytest.mark.slow
def test_systemd_rates_the_exposure_of_each_service_as_ok(installed: Path) -> None:
    for path in sorted(installed.glob("*.service")):
        done = subprocess.run(
            [str(ANALYZE), "security", "--offline=true", "--no-pager", path],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
        assert found, done.stderr
        assert float(found.group(1)) <= WORST_EXPOSURE.get(path.stem, 3.5), path.name


@every_service
def test_a_service_is_ready_alive_and_restarted(path: Path) -> None:
    unit = read_unit(path)
    service = {key: values[-1] for key, values in unit["Service"].items()}
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    # A worker has no heartbeat while Redis is away either, as the chart's liveness probe knows too,
    # and the reconciler has none while a request waits for a silent store.
    assert seconds_of(service["WatchdogSec"]) == (120.0 if "api" in path.name else 600.0)
    assert PATIENT.attempts * PATIENT.read_seconds * 1.5 < 600.0
    assert service["Restart"] == "always" and unit["Unit"]["StartLimitIntervalSec"] == ["0"]
    assert service["RestartPreventExitStatus"] == "2"  # a wrong option
    assert seconds_of(service["TimeoutAbortSec"]) <= 30.0
    assert service["User"] != "root"
    assert unit["Unit"]["PartOf"] == unit["Install"]["WantedBy"] == ["scriptorium.target"]


@every_service
def test_a_worker_has_the_time_that_its_notice_promises(path: Path) -> None:
    unit = read_unit(path)
    told = variables_of(unit).get("SCRIPTORIUM_NOTICE_SECONDS")
    assert (told is not None) is ("worker" in path.name)
    if told is not None:
        (stop,) = unit["Service"]["TimeoutStopSec"]
        assert seconds_of(stop) == float(told) + 5.0


@every_service
def test_its_command_is_one_of_ours_and_its_variables_are_settings(path: Path) -> None:
    unit = read_unit(path)
    command = command_of(unit, "scriptorium", {"%i": "0"})
    done = CliRunner().invoke(app, [*command[1:], "--help"])
    assert done.exit_code == 0
    for option in re.findall(r"--[a-z-]+", " ".join(command)):
        assert option in done.output
    ours = {f"SCRIPTORIUM_{name}".upper() for name in Settings.model_fields}
    assert {name for name in variables_of(unit) if name.startswith("SCRIPTORIUM_")} <= ours


def test_only_a_worker_on_a_gpu_sees_devices_and_no_worker_sees_the_api_s_keys() -> None:
    for path in services():
        service = read_unit(path)["Service"]
        assert ("DeviceAllow" in service) is ("gpu" in path.name)
        assert ("PrivateDevices" in service) is ("gpu" not in path.name)
        reads_keys = any("api.env" in name for name in service["EnvironmentFile"])
        assert reads_keys is ("api" in path.name)


def test_the_common_variables_hold_no_secret_of_the_api() -> None:
    lines = (UNITS / "scriptorium.env").read_text().splitlines()
    told = {line.lstrip("#").partition("=")[0] for line in lines if re.match(r"#?[A-Z_]+=", line)}
    assert not told & {"SCRIPTORIUM_API_KEY", "SCRIPTORIUM_KEYS_SECRET", "SCRIPTORIUM_WEBHOOK_KEY"}
    assert {"REDIS_URL", "SCRIPTORIUM_STORE_URL"} <= told

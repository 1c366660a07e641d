"""compose.yaml: what can be said of the services before they are started."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import AliasChoices
from typer.testing import CliRunner

from config.settings import Settings
from orchestrator.cli.commands import app
from orchestrator.local.front_door import celery_command
from orchestrator.local.programs import FRONT_DOOR_SECRETS
from tests import ROOT
from tests.deployment.compose import read_compose, variables_of
from tests.deployment.dockerfile import read_dockerfile

TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
DOCUMENT = ROOT / "docs" / "docker.md"
COMPOSE = read_compose()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
PROFILES = {
    "cpu": {"redis", "key", "api", "reconciler", "cpu-worker", "gpu-worker-on-cpu"},
    "cuda": {"redis", "key", "api", "reconciler", "cpu-worker", "gpu-worker"},
    "flower": {"flower"},
}
every_service = pytest.mark.parametrize("name", SERVICES)


def names_of_settings() -> set[str]:
    """Every variable that a setting is read from."""
    found = {f"SCRIPTORIUM_{name}".upper() for name in Settings.model_fields}
    for field in Settings.model_fields.values():
        if isinstance(field.validation_alias, AliasChoices):
            found |= {str(choice) for choice in field.validation_alias.choices}
    return found


def check_schema(path: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("check_jsonschema", reason="it holds the Compose specification's schema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    return subprocess.run([*command, path], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_it_follows_the_compose_specification(tmp_path: Path) -> None:
    done = check_schema(ROOT / "compose.yaml")
    assert done.returncode == 0, done.stdout
    (tmp_path / "compose.yaml").write_text(TEXT.replace("cap_drop:", "cap_drops:"))
    assert check_schema(tmp_path / "compose.yaml").returncode == 1


def test_a_profile_starts_a_whole_cluster_and_no_service_starts_without_one() -> None:
    for profile, names in PROFILES.items():
        assert {n for n, one in SERVICES.items() if profile in one["profiles"]} == names
    assert set(SERVICES) == set().union(*PROFILES.values())


@every_service
def test_what_a_service_waits_for_and_mounts_is_declared(name: str) -> None:
    service = SERVICES[name]
    for other, condition in service.get("depends_on", {}).items():
        assert set(service["profiles"]) - {"flower"} <= set(SERVICES[other]["profiles"])
        assert condition["condition"] in ("service_healthy", "service_completed_successfully")
        if condition["condition"] == "service_healthy":
            assert SERVICES[other]["healthcheck"]["test"]
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    for volume in service["volumes"]:
        assert volume.split(":")[0] in COMPOSE["volumes"]


@every_service
def test_a_service_has_no_privilege_and_a_root_that_is_read_only(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] and service["init"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [mount.split(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
    assert "privileged" not in service and "cap_add" not in service
    assert service["logging"]["options"]["max-size"]  # a disk is not filled by what they say
    assert service.get("user", "10001") not in ("root", "0")


@every_service
def test_a_service_cannot_take_the_machine_s_memory_or_processes(name: str) -> None:
    service = SERVICES[name]
    is_worker = "worker" in name
    assert service["pids_limit"] == (2048 if is_worker else 512)
    assert service["mem_limit"] == ("16g" if is_worker else "2g")
    more = read_compose({"SCRIPTORIUM_MEMORY": "3g", "SCRIPTORIUM_WORKER_MEMORY": "64g"})
    assert more["services"][name]["mem_limit"] == ("64g" if is_worker else "3g")


@pytest.mark.parametrize("keys_there", [True, False])
def test_the_first_key_is_in_a_volume_of_its_own_and_in_no_log(
    tmp_path: Path, keys_there: bool
) -> None:
    """The service's script, with a command that makes keys as ours does."""
    listed = """[{"id": "1"}]""" if keys_there else "[]"
    (tmp_path / "scriptorium").write_text(
        f"""#!/bin/sh\nif [ "$2" = list ]; then echo '{listed}'; else echo scr_secret; fi\n"""
    )
    (tmp_path / "scriptorium").chmod(0o755)
    (tmp_path / "keys").mkdir()
    (script,) = SERVICES["key"]["command"]
    done = subprocess.run(
        [*SERVICES["key"]["entrypoint"], script.replace("/keys/", f"{tmp_path}/keys/")],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "scr_secret" not in done.stdout + done.stderr
    made = {path.name: path for path in (tmp_path / "keys").iterdir()}
    assert set(made) == (set() if keys_there else {"first"})
    for path in made.values():
        assert (path.read_text(), path.stat().st_mode & 0o777) == ("scr_secret\n", 0o600)
    holders = {n for n, s in SERVICES.items() if "keys:/keys" in s["volumes"]}
    assert holders == {"key"}


@every_service
def test_only_this_machine_reaches_what_is_published(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert port.startswith("127.0.0.1:")
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert SERVICES["redis"]["networks"] == ["inside"]


def test_redis_is_pinned_keeps_its_data_and_drops_none() -> None:
    redis = SERVICES["redis"]
    assert re.fullmatch(r"redis:\d+\.\d+\.\d+-[a-z]+", redis["image"])
    assert redis["command"][0] == "redis-server"
    options = dict(zip(redis["command"][1::2], redis["command"][2::2], strict=True))
    assert options == {"--appendonly": "yes", "--maxmemory-policy": "noeviction"}


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_target_of_the_dockerfile_with_settings_that_exist(name: str) -> None:
    service = SERVICES[name]
    dockerfile = read_dockerfile()
    target = service["build"]["target"]
    assert target in dockerfile.stages
    assert service["image"] == f"scriptorium/{target}:0.1.0"
    arguments = {
        n for stage in dockerfile.stages.values() for a in stage.all("ARG") for n in a.pairs
    }
    assert set(service["build"].get("args", {})) <= arguments
    assert set(service["environment"]) <= names_of_settings()
    environment = dockerfile.environment(target) | service["environment"]
    own = {
        n.removeprefix("SCRIPTORIUM_").lower(): v for n, v in environment.items() if v is not None
    }
    Settings(**{n: v for n, v in own.items() if n in Settings.model_fields})
    written = {volume.split(":")[1] for volume in service["volumes"]}
    assert environment["SCRIPTORIUM_STORE_URL"] == "file:///store" and "/store" in written
    assert environment["SCRIPTORIUM_WORK_DIR"] in written
    assert environment.get("SCRIPTORIUM_MODEL_DIR", "/store") in written


@pytest.mark.parametrize("name", [name for name in OURS if "entrypoint" not in OURS[name]])
def test_a_services_command_exists(name: str) -> None:
    done = CliRunner().invoke(app, [*SERVICES[name]["command"], "--help"])
    assert done.exit_code == 0, done.output


def test_flower_is_told_what_up_tells_it_and_refuses_to_run_without_a_password() -> None:
    service = SERVICES["flower"]
    (script,) = service["command"]
    for option in ("--read_only=True", "--persistent=False", "--conf=/dev/null", "-A tasks.app"):
        assert option in script
    assert celery_command("x")[2] in script
    words = [*service["entrypoint"], script]
    done = subprocess.run(words, env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=False)
    assert done.returncode != 0 and b"SCRIPTORIUM_FLOWER_PASSWORD" in done.stderr


def test_secrets_are_passed_on_and_only_to_those_who_need_them() -> None:
    secrets = {f"SCRIPTORIUM_{name}".upper() for name in FRONT_DOOR_SECRETS} | {"HF_TOKEN"}
    holders = {
        secret: {name for name, one in OURS.items() if secret in one["environment"]}
        for secret in secrets
    }
    assert holders == {
        "SCRIPTORIUM_API_KEY": {"api", "key"},
        "SCRIPTORIUM_KEYS_SECRET": {"api", "key"},
        "SCRIPTORIUM_HOOKS_SECRET": {"api", "key"},
        "SCRIPTORIUM_WEBHOOK_KEY": {"api", "key", "reconciler"},
        "SCRIPTORIUM_FLOWER_PASSWORD": {"flower"},
        "HF_TOKEN": {"cpu-worker", "gpu-worker", "gpu-worker-on-cpu"},
    }
    for secret, names in holders.items():
        # Without a value: an empty one would be taken for a key.
        assert {OURS[name]["environment"][secret] for name in names} == {None}


def test_every_variable_has_a_default_so_that_one_command_is_enough() -> None:
    given = variables_of(TEXT)
    assert {name for name, default in given.items() if default is None} == set()
    plain = re.findall(r"\$+\{?\w+", re.sub(r"\$\$\{?\w+|\$\{\w+:-", "", TEXT))
    assert plain == []
    changed = read_compose({"SCRIPTORIUM_PORT": "9000", "SCRIPTORIUM_MODEL": "tiny"})["services"]
    assert changed["api"]["ports"] == ["127.0.0.1:9000:8000"]
    assert {one["environment"]["SCRIPTORIUM_MODEL"] for n, one in changed.items() if n in OURS} == {
        "tiny"
    }


def test_the_gpu_worker_gets_a_gpu_and_the_others_none() -> None:
    for name, service in SERVICES.items():
        assert ("deploy" in service) is (name == "gpu-worker")
    (device,) = SERVICES["gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    asked = {n: s["environment"].get("SCRIPTORIUM_DEVICE") for n, s in OURS.items() if "gpu" in n}
    assert asked == {"gpu-worker": "cuda", "gpu-worker-on-cpu": "cpu"}


def test_the_documented_second_gpu_is_a_service_too(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (second,) = yaml.safe_load(block)["services"].values()
    assert second["extends"] == {"file": "compose.yaml", "service": "gpu-worker"}
    command = [*SERVICES["gpu-worker"]["command"][:-1], "1"]
    assert second["command"] == command
    (tmp_path / "compose.yaml").write_text(block)
    assert check_schema(tmp_path / "compose.yaml").returncode == 0


def test_documents_name_every_service_and_variable() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    passed = set(yaml.safe_load(TEXT)["x-environment"]) - {
        "SCRIPTORIUM_REDIS_URL",
        "SCRIPTORIUM_STORE_URL",
    }
    for name in {*SERVICES, *variables_of(TEXT), *passed, "HF_TOKEN"}:
        assert f"`{name}`" in text, name

"""The services of compose.yaml, each in a container made by hand."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.local.redis_server import RedisServer
from tests.deployment.compose import read_compose
from tests.integration.deployment.containers import Container, Root
from tests.integration.deployment.image_build import Builder

# As there is no network of containers: Redis is on this machine, and so is each server.
HERE = ("SCRIPTORIUM_REDIS_URL", "SCRIPTORIUM_API_PORT")


class Services:
    """What is started stays until it is killed; volumes are kept between services."""

    def __init__(self, builder: Builder, place: Path, variables: dict[str, str]) -> None:
        self.running: dict[str, Container] = {}
        self._builder = builder
        self._place = place
        self.variables = variables
        self._services: dict[str, dict[str, Any]] = read_compose(variables)["services"]

    def start(self, name: str) -> Container:
        service = self._services[name]
        target = service["build"]["target"]
        image = self._builder.image(target)
        declared = self._builder.dockerfile
        environment = self._builder.environment(target)
        for key, value in service["environment"].items():
            if value is not None or key in self.variables:
                environment[key] = self.variables[key] if value is None else str(value)
        entry = service.get("entrypoint") or declared.last(target, "ENTRYPOINT").words
        place = self._place / f"{name}-{len(self.running)}"
        volumes = (volume.split(":") for volume in service["volumes"])
        container = Container(
            Root(
                image,
                place,
                writable=not service["read_only"],
                mounts={path: self._volume(volume, image / path[1:]) for volume, path in volumes},
                private_tmp=any(mount.startswith("/tmp:") for mount in service["tmpfs"]),
            ),
            [*entry, *(service.get("command") or declared.last(target, "CMD").words)],
            environment | {key: self.variables[key] for key in HERE},
            self._place / f"{name}.log",
            user=declared.last(target, "USER").value,
            directory=declared.last(target, "WORKDIR").value,
        )
        own = service.get("healthcheck", {}).get("test", ["CMD"])[1:]
        container.check = own or self._builder.dockerfile.health_check(target)
        self.running[name] = container
        return container

    def _volume(self, name: str, of_image: Path) -> Path:
        """A new volume begins as what the image has there, and so do its owner and mode."""
        place = self._place / "volumes" / name
        if not place.exists():
            place.mkdir(parents=True)
            there = of_image.stat()
            os.chown(place, there.st_uid, there.st_gid)
            place.chmod(there.st_mode)
        return place


def free_port() -> str:
    """One that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@contextmanager
def services_of(builder: Builder, place: Path) -> Iterator[Services]:
    """Services on a Redis of their own; none is left afterwards."""
    redis = RedisServer(place)
    redis.start()
    variables = {
        "SCRIPTORIUM_REDIS_URL": redis.url,
        "SCRIPTORIUM_API_PORT": free_port(),
        "SCRIPTORIUM_FLOWER_PORT": free_port(),
        "SCRIPTORIUM_FLOWER_PASSWORD": "let me see",
        "SCRIPTORIUM_MODEL": "pico",
    }
    services = Services(builder, place, variables)
    try:
        yield services
    finally:
        for container in services.running.values():
            container.kill()
        redis.stop()

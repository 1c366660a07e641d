"""buildah and podman of Debian: a storage of their own, and a base image of Debian's packages."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests import ROOT
from tests.deployment.dockerfile import Dockerfile

TOOLS = ("buildah", "debootstrap", "podman", "runc")  # each the name of its Debian package too
PACKAGES = "python3,python3-pip,ca-certificates"
# What the official image of Python has in /usr/local/bin; its pip may change the packages of all.
LIKE_PYTHONS_IMAGE = """
cd {base}
rm -rf var/cache/apt/archives/*.deb var/lib/apt/lists/* usr/lib/python3*/EXTERNALLY-MANAGED
for name in python python3 python3.11; do ln -s /usr/bin/python3.11 usr/local/bin/$name; done
ln -s /usr/bin/pip3 usr/local/bin/pip
"""
PIP_FOLDER = "/etc/xdg/pip"  # of the system's configuration
PIP_OPTIONS = ("index-url", "extra-index-url", "trusted-host", "cert", "proxy")
# Of all containers: what compose.yaml says of its services, and limits that any machine allows.
CONFINED = (
    "--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp:size=256m,mode=1777", "--cap-drop=all",
    "--security-opt=no-new-privileges", "--pids-limit=2048",
    "--ulimit=nofile=1024:4096", "--ulimit=nproc=2048:2048",
)  # fmt: skip


def why_impossible() -> str | None:
    """Why no image can be built here, if so."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"{missing[0]} is not installed (Debian: apt-get install {missing[0]})"
    return "only root may build images with overlays" if os.geteuid() != 0 else None


@dataclass(frozen=True, slots=True)
class Engine:
    """Builds and runs images below one directory; nothing of the machine's own storage is seen."""

    place: Path

    user: str = ""  # an ordinary one, whose containers have a user namespace; else root
    scratch: Path = field(init=False)  # caches of pip, and layers while they are made

    def __post_init__(self) -> None:
        object.__setattr__(self, "scratch", self.place / "tmp")
        self.scratch.mkdir()
        for folder in (self.place, self.scratch) if self.user else ():
            shutil.chown(folder, self.user)

    def command(self, program: str, *words: str) -> list[str]:
        """The command line of buildah or podman."""
        storage = f"--root={self.place}/storage", f"--runroot={self.place}/run"
        # crun, Debian's default, refuses machines with both versions of cgroups.
        runtime = ("--cgroup-manager=cgroupfs", "--runtime=runc") if program == "podman" else ()
        become: tuple[str, ...] = ()
        if self.user:
            of_user = pwd.getpwnam(self.user)
            become = (
                "setpriv", f"--reuid={of_user.pw_uid}", f"--regid={of_user.pw_gid}",
                "--init-groups", "env", f"HOME={self.place}", f"XDG_RUNTIME_DIR={self.scratch}",
            )  # fmt: skip
        return [*become, program, *storage, "--storage-driver=overlay", *runtime, *words]

    def call(self, program: str, *words: str, check: bool = True) -> str:
        """Run buildah or podman, and return what it prints. Fails with what it complained of."""
        command = self.command(program, *words)
        done = subprocess.run(
            command, cwd=self.place if self.user else ROOT,
            env=os.environ | {"TMPDIR": str(self.scratch)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        said = f"{shlex.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        assert done.returncode == 0 or not check, said
        return done.stdout

    def make_base(self, image: str) -> None:
        """Make the image that the Dockerfile begins with, of the Debian that its tag names."""
        suite, base = image.rpartition("-")[2], self.place / "base"
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(base)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        script = LIKE_PYTHONS_IMAGE.format(base=base)
        subprocess.run(["sh", "-ec", script], check=True)
        container = self.call("buildah", "from", "scratch").strip()
        self.call("buildah", "add", container, str(base), "/")
        self.call("buildah", "commit", "--rm", container, f"docker.io/library/{image}")
        shutil.rmtree(base)

    def build(self, target: str, arguments: Mapping[str, str]) -> str:
        """Build a target of the Dockerfile as it is; returns the image's name."""
        name = f"localhost/scriptorium/{target}:test"
        given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        # buildah 1.28 finds nothing in a mount out of a stage whose steps it remembers.
        self.call(
            "buildah", "bud", "--layers", "--no-cache", "--runtime=runc", "--pull-never",
            "--network=host", "--format=docker", f"--volume={self._pip()}:{PIP_FOLDER}:ro", *given,
            f"--target={target}", f"--tag={name}", ".",
        )  # fmt: skip
        return name

    def _pip(self) -> Path:
        """This machine's way to the package index. It is there during the build and in no layer."""
        folder = self.place / "pip"
        if not folder.exists():
            folder.mkdir()
            said = dict(_pip_options())
            certificates = said.pop("cert", os.environ.get("SSL_CERT_FILE"))
            if certificates:
                shutil.copy(certificates, folder / "certificates.pem")
                said["cert"] = f"{PIP_FOLDER}/certificates.pem"
            lines = [f"{name} = {value}" for name, value in said.items()]
            (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]))
        return folder

    def take(self, other: Engine, images: Sequence[str]) -> None:
        """Copy images out of another engine's storage."""
        archive = self.scratch / "images.tar"
        words = ("save", "--quiet", "--multi-image-archive", f"--output={archive}", *images)
        other.call("podman", *words)
        archive.chmod(0o644)
        self.call("podman", "load", "--quiet", f"--input={archive}")
        archive.unlink()

    def start(
        self, name: str, image: str, words: Sequence[str], variables: Mapping[str, str]
    ) -> None:
        """Start a container on the machine's network; a store and scratch space are shared."""
        given = [f"--env={key}={value}" for key, value in variables.items()]
        volumes = [f"--volume={volume}:/{volume}" for volume in ("store", "scratch")]
        self.call(
            "podman", "run", "--detach", f"--name={name}", "--network=host", *CONFINED, *volumes,
            *given, image, *words,
        )  # fmt: skip

    def try_in(self, image: str, script: str) -> str:
        """What a shell prints in a container that has nothing but the image."""
        return self.call(
            "podman", "run", "--rm", "--network=none", *CONFINED, "--entrypoint=sh", image,
            "-c", script, check=False,
        )  # fmt: skip

    def status(self, name: str) -> dict[str, str]:
        """The fields of /proc/PID/status of a container's first process, as it sees them."""
        lines = self.call("podman", "exec", name, "cat", "/proc/1/status").splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def user_namespace(self, name: str) -> bool:
        """Whether user 10001 in there is another user of this machine."""
        words = self.call("podman", "exec", name, "cat", "/proc/1/uid_map").split()
        return words != ["0", "0", "4294967295"]

    def is_healthy(self, name: str) -> bool:
        """What the image's own health check says now."""
        command = self.command("podman", "healthcheck", "run", name)
        done = subprocess.run(command, cwd=self.place, capture_output=True, check=False)
        return done.returncode == 0

    def stop(self, name: str) -> int:
        """Send SIGTERM to a container's first process, and return its exit status."""
        self.call("podman", "stop", "--time=60", name)
        return int(self.call("podman", "inspect", "--format={{.State.ExitCode}}", name))

    def remove(self) -> None:
        """End all containers, and free what the storage holds."""
        self.call("podman", "rm", "--all", "--force", "--time=0", check=False)
        if self.user:
            self.call("podman", "system", "migrate", check=False)  # ends what holds its namespace
        else:
            self.call("buildah", "rm", "--all", check=False)
        for folder in ("storage/overlay", "run/overlay"):
            mounted = self.place / folder
            if mounted.is_mount():
                subprocess.run(["umount", "--recursive", mounted], check=False)
        shutil.rmtree(self.place, ignore_errors=True)


def ordinary_user() -> str:
    """A user of this machine who may have a namespace of users; empty if there is none."""
    subordinate = Path("/etc/subuid")
    if not subordinate.exists() or shutil.which("newuidmap") is None:
        return ""
    names = {line.partition(":")[0] for line in subordinate.read_text().splitlines()}
    users = [user for user in pwd.getpwall() if user.pw_name in names and user.pw_uid != 0]
    return users[0].pw_name if users else ""


def base_image(dockerfile: Dockerfile) -> str:
    """The one image that is not made here."""
    (image,) = {stage.base for stage in dockerfile.stages.values()} - set(dockerfile.stages)
    return image


def _pip_options() -> list[tuple[str, str]]:
    """What pip is told here, by variables or files; of several places the last counts."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = []
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        name, text = key.rpartition(".")[2], value.strip("'\"")
        # A folder of packages on this machine is not seen by the build.
        if name in PIP_OPTIONS and not text.startswith("file:"):
            found.append((name, text))
    return found

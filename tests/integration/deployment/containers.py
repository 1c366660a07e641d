"""Containers made by hand: a mount namespace, a read-only root, another user."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

# What happens in the namespace does not reach other file systems. Under the image lies this
# machine's own root: it stands for the base image, but for its /tmp. Several containers may have
# one image, as they only read it, so the kernel need not guard it (index=off).
NAMESPACE = """
mount --make-rprivate /
mount -t overlay overlay -o {mode},index=off,lowerdir=/,upperdir={image},workdir={work} {root}
mount --rbind /dev {root}/dev
mount --rbind /proc {root}/proc
"""
BORROWED = "/opt/borrowed"  # in images that have this directory: the tests' own environment
NO_PRIVILEGES = "--no-new-privs --bounding-set=-all --inh-caps=-all"


def why_impossible() -> str | None:
    """Why containers cannot be made here, if so."""
    if os.geteuid() != 0:
        return "only root may mount file systems"
    if Path("/").stat().st_dev != Path(sys.base_prefix).stat().st_dev:
        return "Python is not on the root's file system"
    probe = "d=$(mktemp -d); mount -t tmpfs none $d; mkdir $d/u $d/w $d/m; "
    probe += "mount -t overlay overlay -o lowerdir=/,upperdir=$d/u,workdir=$d/w $d/m"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", probe], capture_output=True, check=False
    )
    return "overlay file systems cannot be mounted here" if done.returncode else None


@dataclass(frozen=True, slots=True)
class Root:
    """A file system that begins as an image; it is seen at `place`, a directory of its own."""

    image: Path  # what differs from the base image
    place: Path
    writable: bool = False  # then what is written goes into the image
    mounts: Mapping[str, Path] = field(default_factory=dict)  # where it is seen: what
    private_tmp: bool = False

    def script(self) -> str:
        """The shell commands that make it, inside a new mount namespace."""
        root, work = self.place / "root", self.place / "work"
        root.mkdir(parents=True, exist_ok=True)
        work.mkdir(exist_ok=True)
        mode = "rw" if self.writable else "ro"
        text = NAMESPACE.format(mode=mode, image=self.image, work=work, root=root)
        if self.private_tmp:
            text += f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp\n"
        elif self.writable:
            text += f"mount --bind {self.image}/tmp {root}/tmp\n"
        if (self.image / BORROWED[1:]).is_dir():
            text += f"mount -o bind,ro {sys.prefix} {root}{BORROWED}\n"
        for target, source in self.mounts.items():
            seen = f"{root}{target}"
            if self.writable:
                text += f"mkdir -p {Path(seen).parent}\n"
                text += f"mkdir -p {seen}\n" if source.is_dir() else f"touch {seen}\n"
            text += f"mount --bind {source} {seen}\n"
        return text

    def command(
        self, words: Sequence[str], *, user: str = "0:0", directory: str = "/", flags: str = ""
    ) -> list[str]:
        """What runs the words in there; the process is the one that is started, no child of it."""
        owner, _, group = user.partition(":")
        inner = f'cd {directory} && exec "$@"'
        text = self.script() + (
            f"exec chroot {self.place}/root setpriv --reuid {owner} --regid {group or owner} "
            f"--clear-groups {flags} /bin/sh -c {shlex.quote(inner)} sh {shlex.join(words)}"
        )
        return ["unshare", "--mount", "sh", "-ec", text]


class Container:
    """A running process of an image; whatever it does not end itself is killed with it."""

    def __init__(
        self,
        root: Root,
        words: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        user: str,
        directory: str,
    ) -> None:
        self.environment = dict(environment)
        self.user = user
        self.log = log
        self.check: Sequence[str] = ()  # what tells its health
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                root.command(words, user=user, directory=directory, flags=NO_PRIVILEGES),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def execute(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as `docker exec` does."""
        owner, _, group = self.user.partition(":")
        return subprocess.run(
            ["nsenter", f"--target={self.process.pid}", "--mount", "--root",
             f"--setuid={owner}", f"--setgid={group}", "--", *words],
            env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def is_healthy(self) -> bool:
        """What its health check says now. It must not have ended."""
        assert self.process.poll() is None, self.log.read_text(errors="replace")
        return self.execute(self.check).returncode == 0

    def status(self) -> dict[str, str]:
        """The fields of /proc/PID/status."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return {name: value.strip() for name, _, value in map(_split, text.splitlines())}

    def stop(self, seconds: float = 60.0) -> int:
        """As `docker stop` does: SIGTERM to the first process. Gives the exit status."""
        self.process.terminate()
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End it and its children now."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _split(line: str) -> tuple[str, str, str]:
    return line.partition(":")

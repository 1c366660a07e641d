"""A program in the place of the decoder, taken over by a file: it tries all that could do harm.

`python -m tests.integration.security.attacks` reads a request as JSON, confines itself exactly as
the decoder does (but for the layers that it is told to leave out), makes every attempt, and prints
which of them succeeded. Nothing that it does harms: signals are ones that are ignored.
"""

# ruff: noqa: PTH115, PTH208

from __future__ import annotations

import ctypes
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpu_worker.audio.decoder import sandbox

LIBRARY = ctypes.CDLL(None, use_errno=True)
# Numbers of calls for which Python has no function: on x86-64, and on aarch64.
NUMBERS = {
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "clone3": (435, 435),
    "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "openat2": (437, 437),
    "newfstatat": (262, 79), "statx": (332, 291), "io_uring_setup": (425, 425),
    "memfd_create": (319, 279), "unshare": (272, 97), "bpf": (321, 280),
    "perf_event_open": (298, 241), "keyctl": (250, 219), "userfaultfd": (323, 282),
    "inotify_init1": (294, 26), "shmget": (29, 194), "mq_open": (180, 180),
    "getdents64": (217, 61), "name_to_handle_at": (303, 264), "seccomp": (317, 277),
    "eventfd2": (290, 19), "timer_create": (222, 107), "epoll_create1": (291, 20),
    "landlock_create_ruleset": (444, 444), "fanotify_init": (300, 262), "syslog": (103, 116),
}  # fmt: skip
MACHINE = {"x86_64": 0, "aarch64": 1}[os.uname().machine]
AT_FDCWD, AT_EMPTY_PATH = -100, 0x1000
PTRACE_SEIZE = 0x4206  # attaches, and stops nothing
PASSWD = b"/etc/passwd"

Attempt = Callable[[], Any]


def call(name: str, *arguments: Any) -> int:
    """Make a system call by its number; raise OSError if it fails."""
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    answer = LIBRARY.syscall(ctypes.c_long(NUMBERS[name][MACHINE]), *wide)
    if answer < 0:
        raise OSError(ctypes.get_errno(), name)
    return int(answer)


def forked() -> int:
    """Fork; the child ends at once."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def forked_out_of_the_group() -> int:
    """Leave a grandchild in a session of its own, which a kill of the group does not reach."""
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.alarm(2)
        signal.pause()
    return child


def execute() -> None:
    """Execute a program that is not there: only the missing file may stop it."""
    try:
        os.execv("/no/such/program", ["program"])
    except FileNotFoundError:
        return


def start_thread() -> None:
    """Start a thread."""
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def remote_buffer(pid: int, address: int, *, write: bool) -> int:
    """Read or write eight bytes of another process's memory."""
    own = ctypes.create_string_buffer(8)
    pair = ctypes.c_size_t * 2
    local, remote = pair(ctypes.addressof(own), 8), pair(address, 8)
    name = "process_vm_writev" if write else "process_vm_readv"
    return call(name, pid, local, 1, remote, 1, 0)


def connect(family: int, kind: int, address: Any) -> None:
    """Open a socket and send a byte."""
    with socket.socket(family, kind) as own:
        own.connect(address)
        own.send(b"x")


def listen() -> None:
    """Offer a port."""
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        own.listen()


def executable_memory() -> None:
    """Ask for memory that is written and run."""
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def make_executable() -> None:
    """Make written memory runnable."""
    size = mmap.PAGESIZE
    memory = mmap.mmap(-1, size)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if LIBRARY.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), 5):
        raise OSError(ctypes.get_errno(), "mprotect")


def on_files(given: dict[str, Any]) -> Iterator[tuple[str, Attempt]]:
    """Yield attempts to reach files by their names, and to change the open ones."""
    directory, media = Path(given["directory"]), given["media"]
    status = ctypes.create_string_buffer(512)
    how = (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, 0)
    yield "open a file", lambda: os.open(PASSWD, os.O_RDONLY)
    yield "open a file by openat2", lambda: call("openat2", AT_FDCWD, PASSWD, how, 24)
    yield "open a file by a path alone", lambda: os.open(PASSWD, os.O_PATH)
    yield "open its own program", lambda: os.open("/proc/self/exe", os.O_RDONLY)
    yield (
        "open a descriptor anew for writing",
        lambda: os.open(f"/proc/self/fd/{media}", os.O_WRONLY),
    )
    yield "see a file", lambda: Path("/etc/passwd").stat()
    yield "see a file without following", lambda: os.lstat(PASSWD)
    yield (
        "see a file through an empty path",
        lambda: call("newfstatat", AT_FDCWD, PASSWD, status, AT_EMPTY_PATH),
    )
    yield "see a file by statx", lambda: call("statx", AT_FDCWD, PASSWD, 0, 0x7FF, status)
    yield "ask for access", lambda: True if os.access(PASSWD, os.F_OK) else 1 / 0
    yield "read a link", lambda: os.readlink("/proc/self/exe")
    yield "find out where it is", os.getcwd
    yield "move", lambda: os.chdir("/tmp")
    yield "list a directory", lambda: os.listdir("/")
    yield "list an open directory", lambda: call("getdents64", given["folder"], status, 512)
    yield "list processes", lambda: os.listdir("/proc")
    yield (
        "open a file in an open directory",
        lambda: os.open("canary", os.O_RDONLY, dir_fd=given["folder"]),
    )
    yield "make a file", lambda: (directory / "made").write_bytes(b"x")
    yield "write to a file", lambda: (directory / "canary").write_bytes(b"x")
    yield "cut a file", lambda: os.truncate(directory / "canary", 0)
    yield "make a directory", lambda: (directory / "folder").mkdir()
    yield "make a link", lambda: (directory / "link").symlink_to("/etc/passwd")
    yield "make a hard link", lambda: os.link(directory / "canary", directory / "hard")
    yield "rename", lambda: (directory / "canary").rename(directory / "canary2")
    yield "change rights", lambda: directory.chmod(0o777)
    yield "change an open file's rights", lambda: os.fchmod(media, 0o777)
    yield "mark an open file", lambda: os.setxattr(media, "user.mark", b"x")
    yield "remove", lambda: (directory / "victim").unlink()
    yield "name a handle", lambda: call("name_to_handle_at", AT_FDCWD, PASSWD, handle(), status, 0)
    yield "write a file in memory", lambda: call("memfd_create", b"x", 0)
    yield "watch files", lambda: call("inotify_init1", 0)
    yield "watch all files", lambda: call("fanotify_init", 0, 0)
    yield "change its root", lambda: os.chroot("/")


def handle() -> Any:
    """Return room for a file handle of 128 bytes."""
    room = ctypes.create_string_buffer(136)
    ctypes.memmove(room, ctypes.byref(ctypes.c_uint(128)), 4)
    return room


def on_a_process(given: dict[str, Any], who: str) -> Iterator[tuple[str, Attempt]]:
    """Yield attempts to read, change and signal one process."""
    pid = given[who]
    yield f"read the {who}'s environment", lambda: one_byte(f"/proc/{pid}/environ")
    yield f"read the {who}'s command", lambda: one_byte(f"/proc/{pid}/cmdline")
    yield f"read the {who}'s status", lambda: one_byte(f"/proc/{pid}/status")
    yield f"open the {who}'s memory", lambda: os.open(f"/proc/{pid}/mem", os.O_RDWR)
    yield f"list the {who}'s files", lambda: os.listdir(f"/proc/{pid}/fd")
    yield f"signal the {who}", lambda: os.kill(pid, signal.SIGURG)
    yield f"signal the {who}'s thread", lambda: call("tgkill", pid, pid, signal.SIGURG)
    yield f"get hold of the {who}", lambda: call("pidfd_open", pid, 0)
    yield (
        f"slow the {who} down",
        lambda: os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0)),
    )
    yield (
        f"read the {who}'s bounds",
        lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE),
    )
    yield f"bind the {who} to a core", lambda: os.sched_setaffinity(pid, {0, 1})
    yield f"see the {who}'s cores", lambda: os.sched_getaffinity(pid)
    yield (
        f"own a descriptor as the {who}",
        lambda: fcntl.fcntl(given["media"], fcntl.F_SETOWN, pid),
    )


def on_processes(given: dict[str, Any]) -> Iterator[tuple[str, Attempt]]:
    """Yield attempts on memory, and to start processes."""
    yield (
        "read the parent's memory",
        lambda: remote_buffer(given["parent"], given["address"], write=False),
    )
    yield (
        "write the parent's memory",
        lambda: remote_buffer(given["parent"], given["address"], write=True),
    )
    yield "attach to the victim", lambda: call("ptrace", PTRACE_SEIZE, given["victim"], 0, 0)
    yield "fork", forked
    yield "fork out of the group", forked_out_of_the_group
    yield "start a program", lambda: os.posix_spawn("/bin/true", ["true"], {})
    yield "become a program", execute
    yield "start a thread", start_thread
    yield "signal its own group", lambda: os.killpg(0, signal.SIGURG)
    yield "become another user", lambda: os.setuid(os.getuid())
    yield "leave its namespaces", lambda: call("unshare", 0x400)  # CLONE_FILES
    yield "let memory run", executable_memory
    yield "make memory run", make_executable


def one_byte(path: str) -> int:
    """Read the first byte of a file."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 1)[0]
    finally:
        os.close(file)


def on_the_network(given: dict[str, Any]) -> Iterator[tuple[str, Attempt]]:
    """Yield attempts to speak to others, and to use rarer parts of the kernel."""
    address = ("127.0.0.1", given["port"])
    yield "connect by TCP", lambda: connect(socket.AF_INET, socket.SOCK_STREAM, address)
    yield "send by UDP", lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, address)
    yield "open a socket of IPv6", lambda: socket.socket(socket.AF_INET6).close()
    yield (
        "ask the kernel by netlink",
        lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    )
    yield "listen", listen
    yield (
        "connect by a socket's name",
        lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, given["unix"]),
    )
    yield (
        "connect by an abstract name",
        lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, b"\0" + given["abstract"].encode()),
    )
    yield "make a pair of sockets", lambda: socket.socketpair()[0].close()
    yield "make a pipe", os.pipe
    yield (
        "queue calls by io_uring",
        lambda: call("io_uring_setup", 1, ctypes.create_string_buffer(120)),
    )
    yield "get shared memory", lambda: LIBRARY.shmctl(call("shmget", 0, 4096, 0o1600), 0, None)
    yield "open a queue of messages", lambda: call("mq_open", b"q", os.O_CREAT, 0o600, None)
    yield "use the keyring", lambda: call("keyctl", 0, -3, 1, 0, 0)
    yield "load a filter into the kernel", lambda: call("bpf", 0, bytes(64), 64)
    yield "count events of others", lambda: call("perf_event_open", bytes(128), 0, -1, -1, 0)
    yield "handle page faults", lambda: call("userfaultfd", 0)
    yield "read the kernel's log", lambda: call("syslog", 10, None, 0)
    yield "make a timer", lambda: call("timer_create", 1, None, ctypes.byref(ctypes.c_int()))
    yield "wait for many", lambda: call("epoll_create1", 0)
    yield "count events of its own", lambda: call("eventfd2", 0, 0)
    yield "open a terminal", lambda: os.open("/dev/ptmx", os.O_RDWR)
    yield "ask a device", lambda: fcntl.ioctl(given["media"], 0x5451)  # FIOCLEX
    yield (
        "raise its bound of memory",
        lambda: resource.setrlimit(resource.RLIMIT_AS, (2**60, 2**60)),
    )


def main() -> None:
    """Make every attempt, and print which succeeded."""
    given = json.load(sys.stdin)
    attempts = [*on_files(given), *on_the_network(given), *on_a_process(given, "parent")]
    attempts += [*on_a_process(given, "victim"), *on_processes(given)]
    if "landlock" in given["without"]:
        vars(sandbox)["deny_paths"] = int
    if "seccomp" in given["without"]:
        vars(sandbox)["deny_calls"] = bool
    if given["uid"] is not None:
        os.setgroups([])
        os.setresgid(given["uid"], given["uid"], given["uid"])
        os.setresuid(given["uid"], given["uid"], given["uid"])
    sandbox.confine(1 << 30, 1 << 20, 60.0)
    found = sandbox.possible_seal() if given["open"] else sandbox.seal()
    succeeded = []
    for name, attempt in attempts:
        try:
            attempt()
        except (OSError, RuntimeError, ArithmeticError, ValueError):
            continue
        succeeded.append(name)
    report = {"tried": len(attempts), "succeeded": succeeded, "seal": asdict(found)}
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)

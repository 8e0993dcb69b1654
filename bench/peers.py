"""The servers that are measured beside each other, each with one process that works: their commands, their start and
end, and what they take, as Linux tells it.

Ours and Hypercorn run in the environment of the bench. The others have one of their own, so that they can't change it.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Protocol

from tests.support.processes import environment, free_port, running

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
PEERS = Path(sys.prefix) / "bench"
PEERS_PYTHON = PEERS / "venv" / "bin" / "python"
APP = "bench.bare_app:app"
PEERS_PACKAGES = ("uvicorn", "httptools", "granian")
DESCRIPTORS = 65_536
SPARE_DESCRIPTORS = 200
TICKS_A_SECOND = 100  # of the clock in /proc, on every Linux that there is
QUIET_SECONDS, NO_LONGER_SECONDS = 0.05, 2
A_FEW_DESCRIPTORS = 64
"""More than any of them has without connections, in all its processes."""
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class System:
    """A server, and the command that starts it, in which PORT and KEEP_ALIVE, in seconds, stand for the two."""

    name: str
    title: str
    python: Path
    words: str

    def command(self, port: int, keep_alive_seconds: int) -> list[str]:
        words = self.words.replace("PORT", str(port)).replace("KEEP_ALIVE", str(keep_alive_seconds))
        return [str(self.python), "-m", *words.split()]


OURS = Path(sys.executable)
HYPERCORN = f"hypercorn {APP} -b 127.0.0.1:PORT --keep-alive KEEP_ALIVE --graceful-timeout 1 -k"
ENGINE = f"service.server {APP} --bind 127.0.0.1:PORT -k"
UVICORN = (
    f"uvicorn {APP} --host 127.0.0.1 --port PORT --loop uvloop --http httptools --no-access-log --log-level warning"
    " --timeout-keep-alive KEEP_ALIVE"
)
# Granian accepts no more connections than its backlog has room for, so the default would leave some of 2,000 waiting.
GRANIAN = (
    f"granian {APP} --interface asgi --host 127.0.0.1 --port PORT --workers 1 --loop uvloop --http 1 --no-ws"
    " --no-access-log --log-level warning --backlog 8192"
)
SYSTEMS = {
    system.name: system
    for system in (
        System("hypercorn", "Hypercorn, uvloop", OURS, f"{HYPERCORN} uvloop"),
        System("hypercorn-asyncio", "Hypercorn, asyncio", OURS, f"{HYPERCORN} asyncio"),
        System("engine-uvloop", "engine, uvloop", OURS, f"{ENGINE} uvloop"),
        System("engine-asyncio", "engine, asyncio", OURS, f"{ENGINE} asyncio"),
        System("uvicorn", "uvicorn", PEERS_PYTHON, UVICORN),
        System("granian", "Granian", PEERS_PYTHON, GRANIAN),
    )
}
DEFAULT_SYSTEMS = [name for name in SYSTEMS if name != "hypercorn-asyncio"]


class Named(Protocol):
    """What is measured, in one word and in some."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Server:
    """A system that runs: its port, and the process that was started, with whose number its session is named.

    `keep_alive_seconds` is how long it lets a connection be idle, where it can be told.
    """

    system: Named
    port: int
    pid: int
    keep_alive_seconds: int

    def processor_seconds(self) -> float:
        """Return the processor time of all its processes, also those that have ended, to a hundredth of a second."""
        return sum(sum(map(int, stat[11:15])) for stat in self._stats()) / TICKS_A_SECOND

    def resident_kib(self) -> int:
        """Return the memory that its processes have in use."""
        return sum(int(stat[21]) for stat in self._stats()) * resource.getpagesize() // 1024

    def peak_kib(self) -> int:
        """Return the most memory that each of its processes has had in use so far, all together (VmHWM of proc(5))."""
        peaks = (_PEAK.search((process / "status").read_text()) for process, _ in self._processes())
        return sum(int(peak[1]) for peak in peaks if peak)

    def descriptors(self) -> int:
        """Return how many files and connections its processes have open."""
        return sum(len(list((process / "fd").iterdir())) for process, _ in self._processes())

    def threads(self) -> int:
        """Return how many threads its processes have."""
        return sum(int(stat[17]) for stat in self._stats())

    def wait_until_quiet(self) -> None:
        """Wait until it has done what it still had to do, for two seconds at most."""
        deadline, taken = time.monotonic() + NO_LONGER_SECONDS, -1.0
        while (now := self.processor_seconds()) > taken and time.monotonic() < deadline:
            taken = now
            time.sleep(QUIET_SECONDS)

    def wait_until_rid_of_connections(self) -> None:
        """Wait until connections that have been closed have left it, for little longer than it keeps any.

        Hypercorn keeps one that its client has closed until the keep-alive time is over, and they make all that follows
        dearer: after 2,000 of them a small answer costs it a quarter more.
        """
        deadline = time.monotonic() + self.keep_alive_seconds + NO_LONGER_SECONDS
        while self.descriptors() > A_FEW_DESCRIPTORS and time.monotonic() < deadline:
            time.sleep(QUIET_SECONDS)

    def _stats(self) -> Iterator[list[str]]:
        """Give /proc/PID/stat of each of its processes (proc_pid_stat(5)), from its third field on."""
        return (fields for _, fields in self._processes())

    def _processes(self) -> Iterator[tuple[Path, list[str]]]:
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has just ended
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.pid:  # the session, which is the server's own
                    yield process, fields


@contextmanager
def started(system: System, folder: Path, *, keep_alive_seconds: int) -> Iterator[Server]:
    """Start a server and wait until it answers; end it, and all that it has started.

    Raises:
        SystemExit: it does not answer.
    """
    port = free_port()
    with ExitStack() as stack:
        try:
            command = system.command(port, keep_alive_seconds)
            process = stack.enter_context(running(*command, folder=folder, env=environment(), port=port)).process
        except AssertionError as fault:
            raise SystemExit(f"bench: {system.title} did not start: {fault}") from None
        yield Server(system, port, process.pid, keep_alive_seconds)


def install_peers() -> None:
    """Make the peers' environment, unless it is there and as the lock says."""
    ready = PEERS / "ready"
    locked = REQUIREMENTS.read_text()
    if not ready.exists() or ready.read_text() != locked:
        venv.create(PEERS / "venv", with_pip=False, clear=True)
        asked = ["--quiet", "--python", str(PEERS_PYTHON)], ["--require-hashes", "-r", str(REQUIREMENTS)]
        # It takes seconds where pip takes half a minute, but does not know of the mirrors that pip has been told of.
        if subprocess.run([sys.executable, "-m", "uv", "pip", "install", *asked[0], *asked[1]], check=False).returncode:
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", *asked[0]]
            subprocess.run([*pip, "install", "--no-compile", *asked[1]], check=True)
        ready.write_text(locked)


def versions(packages: Sequence[str] = PEERS_PACKAGES) -> dict[str, str]:
    """Return the versions of what is measured, by name: ours, and those of the peers' packages."""
    ask = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    command = [str(PEERS_PYTHON), "-c", ask, *packages]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    ours = {name: metadata.version(name) for name in ("hypercorn", "uvloop")}
    return ours | dict(zip(packages, answer, strict=True))


def allow_descriptors(connections: int) -> None:
    """Let this process, and those it starts, have as many open files as so many connections need.

    Raises:
        SystemExit: it is not allowed to.
    """
    needed = connections + SPARE_DESCRIPTORS
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SystemExit(
            f"bench: {connections} connections need {needed} open files in a process, and the limit is {hard}:"
            f" raise it (`ulimit -Hn {needed}`), or ask for fewer (--connections, --idle)"
        )
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(most, needed), hard))

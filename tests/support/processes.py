"""Real processes of the service on loopback, which end with their test, and what can be seen of them from outside."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
LIMIT_SECONDS = 15
_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


def environment(**values: str) -> dict[str, str]:
    """Return the environment of a child: nothing of ours but what finds programs and measures coverage."""
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COV")}
    ours = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "RATE_LIMIT_ENABLED": "false", "PURGE_SECONDS": "86400"}
    return kept | ours | values


def unmeasured(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a server that is asked so much that measuring its coverage is what would take the time.

    What such a server runs is measured where an application answers in the process of the tests.
    """
    return {name: value for name, value in env.items() if not name.startswith("COV")}


def wait_until(done: Callable[[], object], limit_seconds: float = LIMIT_SECONDS) -> None:
    deadline = time.monotonic() + limit_seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Running:
    """A process that serves on a port of 127.0.0.1; what it says goes to a file."""

    process: subprocess.Popen[bytes]
    said: Path
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def output(self) -> str:
        return self.said.read_text(errors="replace")

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the lines that are JSON and have come to their end."""
        whole, _, _ = self.output().rpartition("\n")
        return [json.loads(line) for line in whole.split("\n") if line.startswith("{")]

    def access_lines(self, request_id: str) -> list[dict[str, Any]]:
        return [
            line for line in self.log_lines() if line["logger"] == "postern.access" and line["request_id"] == request_id
        ]

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def stop(self, number: signal.Signals = signal.SIGTERM, limit_seconds: float = LIMIT_SECONDS) -> int:
        """Send a signal and return the exit status.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
        """
        self.process.send_signal(number)
        return self.process.wait(limit_seconds)


@contextlib.contextmanager
def running(
    *command: str | Path, folder: Path, env: Mapping[str, str], port: int = 0, told: str = ""
) -> Iterator[Running]:
    """Start a server and wait until it serves: on the port given, else until it says `told`, else an address.

    `folder` is its working directory. Whatever is left of it at the end is ended.
    """
    said = folder / f"said-{time.monotonic_ns()}"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=as_from_a_shell,
        )
    try:
        if port:
            wait_until(lambda: _connects(process, said, port))
        else:
            found = _found(re.compile(re.escape(told)) if told else _ADDRESS, process, said)
            port = 0 if told else int(found[1])
        yield Running(process, said, port)
    finally:
        _end(process)


def as_from_a_shell() -> None:
    """Have a child end with the process that tests, which tears nothing down when it is killed, and hear of Ctrl-C: the
    processes of pytest-xdist ignore it, and children would, too.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left: in peace if it will, so that its coverage is saved."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(3)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _found(pattern: re.Pattern[str], process: subprocess.Popen[bytes], said: Path) -> re.Match[str]:
    wait_until(lambda: pattern.search(said.read_text()) or process.poll() is not None)
    found = pattern.search(said.read_text())
    assert found, said.read_text()
    return found


def _connects(process: subprocess.Popen[bytes], said: Path, port: int) -> bool:
    assert process.poll() is None, said.read_text()
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        return bool(connection.recv(1))
    return False


def postern(*arguments: str, folder: Path, env: Mapping[str, str], given: str = "") -> subprocess.CompletedProcess[str]:
    """Run the `postern` command to its end, with `given` as its standard input."""
    return subprocess.run(
        [str(PROGRAMS / "postern"), *arguments],
        cwd=folder,
        env=dict(env),
        input=given,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


def children_of(pid: int) -> list[int]:
    """Return the processes that this one has started, and that live."""
    with contextlib.suppress(FileNotFoundError):
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if lives(int(child))
        ]
    return []


def lives(pid: int) -> bool:
    """Tell whether a process is there, and has not ended without its parent's notice."""
    with contextlib.suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def postgres_below(folder: Path) -> list[int]:
    """Return the processes of PostgreSQL that work on a folder below this one."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"postgres" in words[0] and any(str(folder).encode() in word for word in words):
                found.append(int(process.name))
    return found

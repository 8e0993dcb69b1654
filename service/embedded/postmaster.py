"""A living PostgreSQL server: found by its pid file, waited for, ended; not how one is started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.embedded.errors import EmbeddedPostgresError

_PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 0.01
_STOPS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))  # fast, immediate, gone


@dataclass(frozen=True)
class Postmaster:
    """What the pid file of a living server says."""

    pid: int
    socket_folder: str
    ready: bool


def postmaster(cluster: Path) -> Postmaster | None:
    """The living server of this cluster; the file alone proves nothing, for pids are used again."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    pid, _, _, _, socket_folder, _, _, status = (lines + [""] * 8)[:8]
    if not pid.isdecimal() or not _works_in(int(pid), cluster):
        return None
    return Postmaster(int(pid), socket_folder, status.strip() == "ready")


def clear_the_way(cluster: Path) -> None:
    """End a server that has lost its owner, and remove a pid file that names a stranger or nobody.

    Only for who holds the lock of the data.
    """
    left = postmaster(cluster)
    if left is not None:
        os.kill(left.pid, signal.SIGINT)
        wait(lambda: postmaster(cluster) is None, f"a left-over PostgreSQL does not stop: end pid {left.pid}")
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def end(process: subprocess.Popen[bytes], *, is_kept: bool = True) -> None:
    """End a server of ours, politely first; one whose data is not kept has nothing to write down before."""
    for sign, patience_seconds in _STOPS if is_kept else _STOPS[1:]:
        process.send_signal(sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_seconds)
            break


def wait(until: Callable[[], bool], otherwise: str) -> None:
    """Return when it is so.

    Raises:
        EmbeddedPostgresError: it takes too long; says ``otherwise``.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not until():
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(otherwise)
        time.sleep(_POLL_SECONDS)


def _works_in(pid: int, cluster: Path) -> bool:
    if sys.platform != "linux":  # pragma: no cover - macOS
        ps = ["/bin/ps", "-o", "args=", "-p", str(pid)]
        return str(cluster) in subprocess.run(ps, capture_output=True, text=True, check=False).stdout  # noqa: S603
    try:
        return Path(f"/proc/{pid}/cwd").samefile(cluster)
    except OSError:  # no such process, or a zombie, or somebody else's
        return False

"""What happens to PostgreSQL's processes: they are killed, stop where they are, and go on."""

from __future__ import annotations

import os
import signal

from service.embedded import Cluster
from tests.support.processes import children_of, lives, wait_until


def processes_of(cluster: Cluster) -> list[int]:
    """Return the postmaster, and those that it has started."""
    postmaster = int((cluster.data / "cluster" / "postmaster.pid").read_text().split("\n")[0])
    return [postmaster, *children_of(postmaster)]


def kill(cluster: Cluster) -> None:
    """End the postmaster by SIGKILL, and wait until its children have noticed."""
    processes = processes_of(cluster)
    os.kill(processes[0], signal.SIGKILL)
    wait_until(lambda: not any(map(lives, processes)))


def freeze(cluster: Cluster) -> None:
    """Stop all of its processes where they are."""
    for process in processes_of(cluster):
        os.kill(process, signal.SIGSTOP)


def thaw(cluster: Cluster) -> None:
    """Let them go on."""
    for process in processes_of(cluster):
        os.kill(process, signal.SIGCONT)

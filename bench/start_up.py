"""What a start takes: `python -m bench.start_up`.

In turns, five times: Python alone, Python that imports what `postern run` does, and `postern run` in production on a
migrated database, from the start of its process to the first 200 of /readyz. Medians, with the fastest beside them, and
what of it was processor time, which says more when the machine has other work. Then the slowest imports of one more
start, as `python -X importtime` has them: it slows imports down itself, and a pass of the garbage collector counts for
whatever module it falls into.

Exits with 1 when a start fails; never for a time.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.served import Client, Migrated, migrated
from tests.support.imports import imports_in, slowest_modules, slowest_packages
from tests.support.processes import PROGRAMS, running

ROUNDS = 5
POSTERN = (PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0")
ROW = "{:<28}{:>9}{:>9}{:>11}"


@dataclass(frozen=True, slots=True)
class Taken:
    """Milliseconds, of the clock and of a processor."""

    clock: float
    processor: float


def code(there: Migrated, source: str) -> Taken:
    """Run a program to its end, and leave out what Python tidies up then."""
    began, used = time.perf_counter(), _processor_of_children()
    command = [sys.executable, "-c", f"{source}; import os; os._exit(0)"]
    subprocess.run(command, cwd=there.folder, env=there.env, check=True)
    return Taken(1000 * (time.perf_counter() - began), _processor_of_children() - used)


def ready(there: Migrated) -> Taken:
    """Start the service, and stop it as soon as it is ready; its first thread is what has used a processor."""
    began = time.perf_counter()
    with running(*POSTERN, folder=there.folder, env=there.env) as server, Client(server.port) as client:
        client.get("/readyz")
        clock = 1000 * (time.perf_counter() - began)
        spent = Path(f"/proc/{server.process.pid}/schedstat")
        used = int(spent.read_text().split()[0]) / 1e6 if spent.exists() else 0.0  # Linux tells
        assert server.stop() == 0, server.output()
    return Taken(clock, used)


def slowest(there: Migrated) -> str:
    """Start the service once more, and name what takes longest to be imported."""
    traced = (sys.executable, "-X", "importtime", *POSTERN)
    with running(*traced, folder=there.folder, env=there.env) as server, Client(server.port) as client:
        client.get("/readyz")
        imports = imports_in(server.output())
    return f"{slowest_modules(imports)}\n\n{slowest_packages(imports)}"


def _processor_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (used.ru_utime + used.ru_stime)


def main() -> None:
    measures: dict[str, Callable[[Migrated], Taken]] = {
        "python": lambda there: code(there, "pass"),
        "import service.cli": lambda there: code(there, "import service.cli"),
        "postern run, until ready": ready,
    }
    with migrated() as there:
        for measure in measures.values():
            measure(there)  # files are read from the disk once, and compiled
        rounds = [{name: measure(there) for name, measure in measures.items()} for _ in range(ROUNDS)]
        print(ROW.format("milliseconds", "median", "fastest", "processor"))
        for name in measures:
            clock = [taken[name].clock for taken in rounds]
            processor = statistics.median(taken[name].processor for taken in rounds)
            print(ROW.format(name, *(f"{value:.0f}" for value in (statistics.median(clock), min(clock), processor))))
        print(f"\n{slowest(there)}")


if __name__ == "__main__":
    main()

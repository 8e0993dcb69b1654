"""What the service is like after 1,000,000 requests, and with 5,000 idle connections: `python -m bench.endurance`.

A closed loop of 32 connections asks for the reads of a day, in ten parts, and pauses after each: then it is noted what
the service has, which should be what it had after the first part. Then 5,000 connections are opened, which make a
request each and no other, and it is noted what they take, whether somebody else is answered meanwhile, and what is left
when they have closed. Its log, some 300 MB, is among the temporary files, and goes with them.

It is `postern run` in production, unchanged, but that its process learns before to say how many tasks its event loop
has whenever a signal asks for it.

The tables go to the terminal and, unless it is a `--check`, to bench/results/endurance.md. Exits with 1 when a request
fails, an idle connection is closed, or descriptors stay open; never for a time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from types import FrameType

import asyncpg
import uvloop
from bench import machine
from bench.api_works import reads, works
from bench.counted_load import CountedLoad
from bench.dataset import Dataset, dataset
from bench.load import Load, Outcome
from bench.peers import A_FEW_DESCRIPTORS, Server, allow_descriptors
from bench.same_work import Asked, ask
from bench.systems import started, started_by
from bench.tables import NOTHING, table
from tests.support.processes import wait_until

RESULTS = Path(__file__).parent / "results" / "endurance.md"
REQUESTS, IDLE, CONNECTIONS, PARTS = 1_000_000, 5000, 32, 10
CHECKED_REQUESTS, CHECKED_IDLE = 2000, 100
PAUSE_SECONDS, SETTLE_SECONDS = 0.1, 0.5
TASKS = "tasks"
"""The file in which the service says how many it has."""
LIBRARIES = ("flask", "sqlalchemy", "asyncpg", "uvloop")

# What a statement left behind would be active, or idle in a transaction: both have a transaction that began.
ITS_CONNECTIONS = """
    SELECT count(*), count(*) FILTER (WHERE xact_start IS NOT NULL) AS in_transaction FROM pg_stat_activity
    WHERE application_name = 'postern' AND datname = current_database()
"""
IN_FLIGHT = re.compile(rb"^postern_requests_in_flight ([\d.]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mark:
    """What the service has with nothing to do, after so many requests, and how the last of them went."""

    requests: int
    resident_kib: int
    peak_kib: int
    descriptors: int
    threads: int
    tasks: int
    connections: int
    in_transaction: int
    in_flight: int
    per_second: float
    processor_us: float


COLUMNS = {
    "resident_kib": "resident KiB",
    "peak_kib": "peak KiB",
    "descriptors": "descriptors",
    "threads": "threads",
    "tasks": "tasks",
    "connections": "PostgreSQL's connections",
    "in_transaction": "in a transaction",
    "in_flight": "in flight",
    "per_second": "requests/s",
    "processor_us": "processor µs",
}


@dataclass(frozen=True, slots=True)
class Idle:
    """What the service has before so many idle connections, with them, and when they have closed."""

    connections: int
    resident_kib: tuple[int, int, int]
    descriptors: tuple[int, int, int]
    answers: dict[str, int]
    closed: int

    @property
    def kib_each(self) -> float:
        return (self.resident_kib[1] - self.resident_kib[0]) / self.connections


def parts(requests: int) -> list[int]:
    """Return so many requests in ten parts, as even as they can be."""
    ends = [requests * part // PARTS for part in range(PARTS + 1)]
    return [end - begin for begin, end in pairwise(ends)]


def growth(first: float, last: float) -> str:
    """Return by how many per cent of the first the last is more, or less."""
    if first == last:
        return "0 %"
    return f"{100 * (last - first) / first:+.1f} %" if first else NOTHING


def serve(arguments: list[str]) -> None:
    """Do what `postern` does, and leave a file in the working directory whenever SIGUSR1 asks for its tasks."""
    folder = Path.cwd()

    def say(_signal: int, _frame: FrameType | None) -> None:
        (folder / "new").write_text(str(len(asyncio.all_tasks())))
        (folder / "new").rename(folder / TASKS)

    signal.signal(signal.SIGUSR1, say)
    sys.argv = ["postern", *arguments]
    from service.cli import main  # noqa: PLC0415 - in its process alone

    main()


class Watch:
    """The service, and what can be seen of it: by Linux, by PostgreSQL, over HTTP, and what it says of itself."""

    def __init__(self, server: Server, database: asyncpg.Connection, folder: Path) -> None:
        self.server = server
        self._database = database
        self._folder = folder

    async def mark(self, requests: int, outcome: Outcome, processor_seconds: float) -> Mark:
        """Note all of it; the part that it comes after had that outcome and took so much processor time."""
        await asyncio.sleep(PAUSE_SECONDS)
        server, answered = self.server, max(1, len(outcome.latencies))
        resident_kib, peak_kib = server.resident_kib(), server.peak_kib()  # before anything else is asked
        descriptors, threads = server.descriptors(), server.threads()
        count, in_transaction = await self._database.fetchrow(ITS_CONNECTIONS)
        mark = Mark(
            requests=requests,
            resident_kib=resident_kib,
            peak_kib=peak_kib,
            descriptors=descriptors,
            threads=threads,
            tasks=self._tasks(),
            connections=count,
            in_transaction=in_transaction,
            in_flight=self._in_flight(),
            per_second=answered / outcome.seconds,
            processor_us=1e6 * processor_seconds / answered,
        )
        print(f"{requests} requests, {mark.resident_kib} KiB", file=sys.stderr, flush=True)
        return mark

    def _tasks(self) -> int:
        file = self._folder / TASKS
        file.unlink(missing_ok=True)
        os.kill(self.server.pid, signal.SIGUSR1)
        wait_until(file.exists)
        return int(file.read_text())

    def _in_flight(self) -> int:
        """Return how many requests are, beside the one that asks."""
        found = IN_FLIGHT.search(ask(self.server, Asked("the metrics", "GET", "/metrics")).document)
        if found is None:
            raise SystemExit("bench: /metrics does not say how many requests are in flight")
        return int(float(found[1])) - 1


async def endure(watch: Watch, rows: Dataset, requests: int) -> tuple[list[Mark], int]:
    """Ask so often; return what was noted, and how many requests have failed."""
    load, marks, asked = CountedLoad(watch.server.port, reads(rows)), list[Mark](), 0
    try:
        opened = await load.open(CONNECTIONS)
        failed = opened.errors + opened.timeouts
        for count in parts(requests):
            taken = watch.server.processor_seconds()
            outcome = await load.ask(count)
            taken = watch.server.processor_seconds() - taken
            asked += count
            failed += outcome.errors + outcome.timeouts
            marks.append(await watch.mark(asked, outcome, taken))
    finally:
        load.close()
    return marks, failed


async def keep_idle(watch: Watch, rows: Dataset, connections: int) -> tuple[Idle, int]:
    """Open so many connections, with a request over each; return what they take, and how many requests have failed."""
    load = Load(watch.server.port, works(rows)["me"])
    seen = [await _settled(watch.server)]
    try:
        outcome = await load.open(connections)
        await asyncio.sleep(SETTLE_SECONDS)
        seen.append((watch.server.resident_kib(), watch.server.descriptors()))
        asked = (Asked("its health", "GET", "/livez"), Asked("an account", "GET", "/api/auth/me", rows.tokens[0]))
        answers = {each.target: ask(watch.server, each).status for each in asked}
    finally:
        load.close()
    seen.append(await _settled(watch.server))
    before, during, after = seen
    of_each = list(zip(before, during, after, strict=True))
    failed = outcome.errors + outcome.timeouts + sum(status != 200 for status in answers.values())
    return Idle(connections, of_each[0], of_each[1], answers, outcome.reconnections), failed


async def _settled(server: Server) -> tuple[int, int]:
    """Return the memory and the descriptors of a server that has let go of what was closed."""
    await asyncio.to_thread(server.wait_until_rid_of_connections)  # the loop closes them meanwhile
    await asyncio.sleep(SETTLE_SECONDS)
    return server.resident_kib(), server.descriptors()


async def measure(server: Server, rows: Dataset, folder: Path, asked: argparse.Namespace) -> tuple[str, int]:
    """Return the tables, and the exit status."""
    database = await asyncpg.connect(rows.superuser_url())
    try:
        watch = Watch(server, database, folder)
        marks, failed = await endure(watch, rows, asked.requests)
        idle, failed_idle = await keep_idle(watch, rows, asked.idle)
    finally:
        await database.close()
    wrong = failed + failed_idle + idle.closed
    text = f"{endurance_table(marks)}\n\nRequests that failed: {failed}.\n\n{idle_table(idle)}\n"
    return text, int(wrong > 0 or idle.descriptors[2] > A_FEW_DESCRIPTORS)


def endurance_table(marks: Sequence[Mark]) -> str:
    """Return what was noted, and what it is more at the end than after the first part."""
    noted = [asdict(mark) for mark in marks]
    lines = [(f"{mark['requests']:,}", *(f"{mark[name]:,.0f}" for name in COLUMNS)) for mark in noted]
    lines.append(("**growth**", *(growth(noted[0][name], noted[-1][name]) for name in COLUMNS)))
    return table(("after requests", *COLUMNS.values()), lines)


def idle_table(idle: Idle) -> str:
    times = ("before", f"with {idle.connections:,} idle connections", "when they have closed")
    lines = [(time, f"{idle.resident_kib[at]:,}", str(idle.descriptors[at])) for at, time in enumerate(times)]
    answers = ", ".join(f"`{target}` by {status}" for target, status in idle.answers.items())
    return (
        f"{table(('', 'resident KiB', 'descriptors'), lines)}\n\n"
        f"An idle connection takes {idle.kib_each:.1f} KiB. With all of them there, another was answered {answers}; the"
        f" service closed {idle.closed} of them."
    )


def plan(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What the service is like after many requests and connections.")
    parser.add_argument("--check", action="store_true", help="a tiny run, which leaves no file")
    parser.add_argument("--requests", type=int, help=f"by default {REQUESTS}")
    parser.add_argument("--idle", type=int, help=f"idle connections, by default {IDLE}")
    parser.add_argument("--results", type=Path, metavar="FILE", help=f"by default {RESULTS}")
    asked = parser.parse_args(arguments)
    requests, idle = (CHECKED_REQUESTS, CHECKED_IDLE) if asked.check else (REQUESTS, IDLE)
    asked.requests = requests if asked.requests is None else asked.requests
    asked.idle = idle if asked.idle is None else asked.idle
    asked.results = asked.results or (None if asked.check else RESULTS)
    if asked.requests < PARTS or asked.idle < 1:
        parser.error(f"{PARTS} requests and one idle connection at least")
    return asked


def main() -> int:
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2:])
        return 0
    asked, load_at_begin = plan(), os.getloadavg()[0]
    allow_descriptors(max(CONNECTIONS, asked.idle))
    system = started_by("bench.endurance", "serve")
    with dataset() as rows, tempfile.TemporaryDirectory() as name, started(system, rows, Path(name)) as server:
        tables, status = uvloop.run(measure(server, rows, Path(name), asked))
    how = f"{CONNECTIONS} connections, then {asked.idle} idle ones; {rows.rows} users and as many posts"
    said = " ".join(machine.about(how, machine.versions(LIBRARIES), load_at_begin))
    text = f"# The service's endurance (`make bench-endurance`)\n\n{said}\n\n{tables}"
    print(text)
    if asked.results:
        asked.results.write_text(text)
    return status


if __name__ == "__main__":
    sys.exit(main())

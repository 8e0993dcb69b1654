"""How `bench.compare` measures a cell: a load, and what the accounts of the operating system say of it."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvloop
from bench.cells import Cell, at_points
from bench.load import Load, Outcome
from bench.open_load import OpenLoad, schedule
from bench.peers import TICKS_A_SECOND, Server
from bench.works import Work
from service.embedded import Cluster

OPEN_CONNECTIONS = 64
"""Of an open loop: more than are under way while a server keeps up."""
WARM_CONNECTIONS = 32
WARM_FROM, IDLE_FROM = 256, 2000
"""So many connections that each has made a request are warm-up enough, and so many take some systems too long even to
make one: they are opened, and that is all.
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """A server that is measured, in which round, and the database beneath it."""

    round: int
    server: Server
    database: Database


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a cell is asked, and how long before that it is warmed up."""

    seconds: float
    warm_up_seconds: float


@dataclass(frozen=True, slots=True)
class Pace:
    """The rate of an open loop, in requests a second, and the name of the system of whose most it is the half."""

    half_of: str
    rate: float


class Database:
    """The processes of a PostgreSQL, which are the postmaster and its children."""

    def __init__(self, cluster: Cluster) -> None:
        self._postmaster = (cluster.data / "cluster" / "postmaster.pid").read_text().split()[0]

    def processor_seconds(self) -> float:
        """Return the processor time of all of them, also of those that have ended, to a hundredth of a second."""
        return sum(self._ticks()) / TICKS_A_SECOND

    def _ticks(self) -> Iterator[int]:
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has just ended
                fields = (process / "stat").read_text().rpartition(")")[2].split()  # from the third on
                if self._postmaster in (process.name, fields[1]):
                    yield sum(map(int, fields[11:15]))


def flat_out(subject: Subject, work: Work, connections: int, timing: Timing) -> Cell:
    """Measure how a server does when each connection asks again as soon as it is answered."""
    load = Load(subject.server.port, work)
    return _measured(subject, load, connections, timing, lambda: load.run(timing.seconds))


def at_pace(subject: Subject, work: Work, pace: Pace, timing: Timing) -> Cell:
    """Measure how a server does when requests come at a rate. They come at the same moments for all in a round."""
    load, due = OpenLoad(subject.server.port, work), schedule(pace.rate, timing.seconds, seed=subject.round)
    return _measured(subject, load, OPEN_CONNECTIONS, timing, lambda: load.follow(due, timing.seconds), pace=pace)


def warm_up(subject: Subject, work: Work, timing: Timing) -> None:
    """Have a server that has just started do what it does only once."""
    subject.server.wait_until_quiet()
    uvloop.run(_warm_up(subject.server.port, work, timing.seconds))


async def _warm_up(port: int, work: Work, seconds: float) -> None:
    load = Load(port, work)
    try:
        await load.open(WARM_CONNECTIONS)
        await load.run(seconds)
    finally:
        load.close()
    await asyncio.sleep(0)


def _measured(
    subject: Subject,
    load: Load,
    connections: int,
    timing: Timing,
    run: Callable[[], Awaitable[Outcome]],
    *,
    pace: Pace | None = None,
) -> Cell:
    subject.server.wait_until_rid_of_connections()  # of when it was measured last
    with _undisturbed():
        cell = uvloop.run(_measure(subject, load, connections, timing, run, pace or Pace("", 0)))
    subject.server.wait_until_quiet()
    return cell


async def _measure(
    subject: Subject,
    load: Load,
    connections: int,
    timing: Timing,
    run: Callable[[], Awaitable[Outcome]],
    pace: Pace,
) -> Cell:
    server, database = subject.server, subject.database
    try:
        before = [await load.open(connections, idle=connections >= IDLE_FROM)]
        if connections < WARM_FROM:
            before.append(await load.run(timing.warm_up_seconds))
        server_took, database_took = server.processor_seconds(), database.processor_seconds()
        outcome = await run()
        server_took = server.processor_seconds() - server_took
        database_took = database.processor_seconds() - database_took
    finally:
        load.close()
    await asyncio.sleep(0)  # or the connections would not be closed
    all_of_it = [*before, outcome]
    return Cell(
        round=subject.round,
        work=load.work.name,
        connections=connections,
        system=server.system.name,
        pace=pace.half_of,
        rate=pace.rate,
        requests=len(outcome.latencies),
        in_time=outcome.in_time,
        asking_seconds=outcome.asking_seconds,
        seconds=outcome.seconds,
        server_seconds=server_took,
        database_seconds=database_took,
        client_seconds=outcome.client_seconds,
        latencies_ms=at_points(outcome.latencies),
        faults=dict(sum((part.faults for part in all_of_it), Counter[str]())),
        timeouts=sum(part.timeouts for part in all_of_it),
        reconnections=sum(part.reconnections for part in all_of_it),
    )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Collect no garbage, which would stop the client and be taken for the server."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()

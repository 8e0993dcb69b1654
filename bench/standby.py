"""What it costs to read from a standby, and what it spares the primary (ADR 15): `python -m bench.standby`.

In one process, on uvloop, a post is read by its id, and a list of 20 accounts with its count: from the primary, and
from a standby that streams from it, on the same two cores. One caller asks again when it is answered, then 32 do; once
with nothing beside them, and once while somebody else commits all the time, which the standby has to replay first.

The two are asked in turns of 0.1 seconds, in an order drawn, 8 times in a round. What is told is the median over the
rounds of a round's median, and of the ratios of a round; and how much of the primary's processor time a read took.
Exits with 1 when a read that was meant for the standby was answered by the primary more often than one time in ten.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import asyncpg
import uvloop
from bench import machine
from bench.dataset import Dataset, dataset
from bench.measuring import Database
from bench.tables import median, spread, table
from service import metrics
from service.config import Settings
from service.context import open_context
from service.embedded import Cluster
from service.paging import Part
from service.repositories.unit_of_work import Reading
from service.server import heap
from tests.cluster.servers import standby_of

ROUNDS, TURNS, TURN_SECONDS = 10, 8, 0.1
CALLERS = (1, 32)
PRIMARY, STANDBY = "primary", "standby"
RESULTS = Path(__file__).parent / "results" / "standby.md"
TITLES = ("", "primary, µs", "standby, µs", "ratio, least and most", "of the primary, µs", "with the standby, µs")
LIBRARIES = ("sqlalchemy", "asyncpg", "uvloop")
COMMIT = "UPDATE posts SET title = title || '' WHERE id = (SELECT id FROM posts LIMIT 1)"
Read = Callable[[Reading], Awaitable[object]]


@dataclass
class Taken:
    """What reads took of one round: seconds each, and seconds of the primary's processors in all."""

    seconds: list[float] = field(default_factory=list)
    processor: float = 0.0


async def turn(reading: Reading, read: Read, callers: int, database: Database, taken: Taken) -> None:
    """Have so many callers read for a while."""
    end, before = time.perf_counter() + TURN_SECONDS, database.processor_seconds()

    async def call() -> None:
        while (began := time.perf_counter()) < end:
            await read(reading)
            taken.seconds.append(time.perf_counter() - began)

    await asyncio.gather(*(call() for _ in range(callers)))
    taken.processor += database.processor_seconds() - before


async def compared(
    ways: Mapping[str, Reading], read: Read, callers: int, database: Database, rounds: int, *, beside: bool
) -> tuple[str, ...]:
    """Return the cells of a line."""
    micros: dict[str, list[float]] = defaultdict(list)
    processor: dict[str, list[float]] = defaultdict(list)
    for number in range(-1, rounds):  # the first warms up
        of_round = {name: Taken() for name in ways}
        for _ in range(TURNS if rounds > 1 else 1):
            for name in random.sample(list(ways), k=len(ways)):
                await turn(ways[name], read, callers, database, of_round[name])
        for name, taken in of_round.items():
            if number >= 0:
                micros[name].append(1e6 * statistics.median(taken.seconds))
                processor[name].append(1e6 * taken.processor / len(taken.seconds))
    ratios = [one / other for one, other in zip(micros[STANDBY], micros[PRIMARY], strict=True)]
    return (
        *(median(micros[name], ".0f") for name in (PRIMARY, STANDBY)),
        spread(ratios),
        *("" if beside else median(processor[name], ".0f") for name in (PRIMARY, STANDBY)),
    )


@asynccontextmanager
async def writing(url: str, *, really: bool) -> AsyncIterator[None]:
    """Have somebody commit all the time, meanwhile."""

    async def write() -> None:
        connection = await asyncpg.connect(url)
        try:
            while True:
                await connection.execute(
                    "UPDATE posts SET title = title || '' WHERE id = (SELECT id FROM posts LIMIT 1)"
                )
                await asyncio.sleep(0.002)
        finally:
            await connection.close()

    task = asyncio.create_task(write()) if really else None
    try:
        yield
    finally:
        if task:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def measured(rows: Dataset, standby: Cluster, rounds: int) -> list[tuple[str, ...]]:
    """Return the lines of the table."""
    settings = Settings.load(
        _env_file=None,
        app_env="testing",
        database_url=rows.url,
        database_ro_url=standby.url(scheme="postgresql"),
    )
    posts = cycle(rows.post_ids)
    reads: dict[str, Read] = {
        "a post": lambda reading: reading.posts.get(next(posts)),
        "a list of 20": lambda reading: reading.users.part(Part("-created_at")),
    }
    lines, database = [], Database(rows.cluster)
    async with open_context(settings, rows.url) as context:
        heap.freeze()
        ways = {PRIMARY: context.reading, STANDBY: context.replica}
        for beside in (False, True):
            async with writing(rows.url, really=beside):
                for name, read in reads.items():
                    for callers in CALLERS:
                        cells = await compared(ways, read, callers, database, rounds, beside=beside)
                        words = f"{name}, {callers} at once{', commits beside' if beside else ''}"
                        lines.append((words, *cells))
                        print(" | ".join(lines[-1]), file=sys.stderr, flush=True)
    _check()
    return lines


def _check() -> None:
    answered = {server: metrics.replica_reads.labels(server)._value.get() for server in (PRIMARY, STANDBY)}
    print(f"meant for the standby, and answered: {answered}")
    if answered[PRIMARY] > answered[STANDBY] / 10:
        raise SystemExit("bench: the standby did not answer")


def main() -> int:
    parser = argparse.ArgumentParser(description="What it costs to read from a standby.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--check", action="store_true", help="a tiny run, which leaves no file")
    asked, load_at_begin = parser.parse_args(), os.getloadavg()[0]
    rounds = 1 if asked.check else asked.rounds
    with dataset(durable=True) as rows, standby_of(rows.cluster, rows.cluster.data.parent / "standby") as standby:
        lines = uvloop.run(measured(rows, standby, rounds))
        how = f"{rounds} rounds; {rows.rows} users and as many posts"
    said = " ".join(machine.about(how, machine.versions(LIBRARIES), load_at_begin))
    text = f"# Reads from a standby (`make bench-standby`)\n\n{said}\n\n{table(TITLES, lines)}\n"
    print(text)
    if not asked.check:
        RESULTS.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

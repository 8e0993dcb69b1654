"""What a search costs among 1,000,000 users and 1,000,000 posts: `python -m bench.search`, fewer with `--rows 20000`.

`postern seed` makes them. Users are searched by a part of their name, posts by full text: what is common, what is not,
what is rare and what is nowhere. The first page, with its count, is asked for over HTTP and one connection, in turn
with the same through the repository, which is to say the statements and what SQLAlchemy and asyncpg make of them, and
with what of it was processor time of PostgreSQL (on Linux). The rows called "nothing" are what the machine takes for
next to nothing at that moment: an account by its id. Exits with 1 when something common, rare or absent takes 30 ms or
more of the repository, by the medians; with fewer rows never for a time.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.served import SECRET_KEY, Client, Served, median_and_p95, served
from service.config import Settings
from service.context import Context, open_context
from service.paging import Part
from service.seeding import vocabulary
from sqlalchemy import text
from tests.support.processes import PROGRAMS

ROWS, ROUNDS, WARM_UP = 1_000_000, 40, 8
MOST_MILLISECONDS = 30
PASSWORD = "a password of the benchmark"
NEWEST = Part("-created_at")
ROW = "{:<7}{:<10}{:<18}{:>7}{:>11}{:>12}{:>8}{:>11}{:>8}"


@dataclass(frozen=True, slots=True)
class Word:
    """What is searched for, and how common it is meant to be."""

    kind: str
    text: str

    @property
    def is_promised(self) -> bool:
        return self.kind in ("common", "rare", "absent")


@dataclass(frozen=True, slots=True)
class Taken:
    """Milliseconds, of each time: of the repository, of its PostgreSQL's processor, and over HTTP."""

    repository: list[float]
    processor: list[float]
    http: list[float]

    def show(self, name: str, kind: str, text: str = "", found: str = "") -> None:
        figures = (statistics.median(self.processor), *median_and_p95(self.repository), *median_and_p95(self.http))
        print(ROW.format(name, kind, text, found, *(f"{value:.1f}" for value in figures)), flush=True)


class Bench:
    """Asks for the same in both ways, in turn."""

    def __init__(self, context: Context, client: Client, pid: int, rounds: int) -> None:
        self._context = context
        self._client = client
        self._rounds = rounds
        self._spent = Path(f"/proc/{pid}/schedstat")

    async def alternate(self, ask: Callable[[Any], Awaitable[Any]], target: str) -> tuple[Taken, Any, Any]:
        """Return what was taken, and the last answer of the repository and that over HTTP."""
        taken, found, answer = Taken([], [], []), None, None
        for round_number in range(-WARM_UP, self._rounds):
            began, used = time.perf_counter(), self._processor()
            found = await ask(self._context.reading)
            repository, used = 1000 * (time.perf_counter() - began), self._processor() - used
            http, answer = self._client.get(target)
            if round_number >= 0:
                taken.repository.append(repository)
                taken.processor.append(used)
                taken.http.append(http)
        return taken, found, answer

    async def search(self, name: str, word: Word) -> float:
        """Print what one search costs; return the median of the repository, in milliseconds."""
        taken, found, answer = await self.alternate(
            lambda reading: getattr(reading, name).part(NEWEST, search=word.text),
            f"/api/{name}/?search={quote(word.text)}",
        )
        assert answer["total"] == found.total
        taken.show(name, word.kind, word.text, f"{found.total}{'+' if found.total_capped else ''}")
        return statistics.median(taken.repository)

    async def nothing(self) -> None:
        """Print what it takes to ask for next to nothing."""
        taken, _, _ = await self.alternate(lambda reading: reading.users.get(1), "/api/users/1")
        taken.show("", "nothing")

    def _processor(self) -> float:
        """Return what PostgreSQL has used of a processor for our connection, in milliseconds; 0 where nobody tells."""
        return int(self._spent.read_text().split()[0]) / 1e6 if self._spent.exists() else 0.0


def seed(there: Served, rows: int) -> None:
    """Make the rows by the command."""
    counts = ("--users", str(rows), "--posts", str(rows), "--comments", "0")
    told = ("--random-seed", "1", "--password", PASSWORD, "--yes-in-production")
    subprocess.run([PROGRAMS / "postern", "seed", *counts, *told], env=there.env, cwd=there.folder, check=True)


async def rare_place(context: Context) -> str:
    """Return a word that a few posts have."""
    for number in range(0, vocabulary.PLACES, 97):
        place = vocabulary.place(number)
        found = await context.reading.posts.part(NEWEST, search=place)
        if found.total in range(1, 6):
            return place
    raise AssertionError("no place is rare")


async def measure(there: Served, rows: int, rounds: int) -> float:
    """Print what each search costs; return the most that a promised one takes of the repository, in milliseconds."""
    settings = Settings.load(_env_file=None, app_env="testing", secret_key=SECRET_KEY, pool_size=1)
    async with open_context(settings, there.cluster.url()) as context:
        words = {
            "users": [
                Word("common", "ann"),
                Word("middling", "andersson"),
                Word("seldom", "kowalska77"),
                Word("rare", f"{rows - 1}_1"),
                Word("absent", "qqqzzz"),
            ],
            "posts": [
                Word("common", "time"),
                Word("middling", "saffron"),
                Word("seldom", "fragrant saffron"),
                Word("rare", await rare_place(context)),
                Word("absent", "xylograph"),
            ],
        }
        async with context.engine.connect() as connection:  # the pool has no other
            pid = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        with Client(there.port) as client:
            client.log_in("user1@seed-1.example.com", PASSWORD)
            bench, slowest = Bench(context, client, pid, rounds), 0.0
            for name, of_them in words.items():
                await bench.nothing()
                for word in of_them:
                    median = await bench.search(name, word)
                    slowest = max(slowest, median if word.is_promised else 0)
    return slowest


def main() -> int:
    arguments = argparse.ArgumentParser(description="What a search costs.")
    arguments.add_argument("--rows", type=int, default=ROWS, help="users, and as many posts")
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    asked = arguments.parse_args()
    rows = asked.rows
    with served() as there:
        seed(there, rows)
        columns = ("found", "processor", "repository", "p95", "over HTTP", "p95")
        print(ROW.format("", "", f"ms, {rows} rows", *columns))
        slowest = asyncio.run(measure(there, rows, asked.rounds))
    return int(rows >= ROWS and slowest >= MOST_MILLISECONDS)


if __name__ == "__main__":
    sys.exit(main())

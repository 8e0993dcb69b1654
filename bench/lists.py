"""What depth costs a list: `python -m bench.lists`, with `--rows 100000` for a small one.

Posts, and the comments of one post, 10,000,000 of each. A part in the middle, 5,000,000 rows deep, is asked for in
turns with the first one, over HTTP and one connection; so is the first page in the way that counts. The cursor into the
middle is an honest one: the far half is loaded first, and asked for its first part. Exits with 1 when a part in the
middle takes more than 1.2 times as long as the first, by the medians; with fewer rows never for a time.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from dataclasses import dataclass

import asyncpg
from bench.served import Client, Served, median_and_p95, served
from service.embedded.cluster import SUPERUSER

ROWS, ROUNDS, WARM_UP, CHUNK = 10_000_000, 600, 30, 500_000
MOST = 1.2
AUTHORS = 1000
POST = "01890a5d-ac96-774b-bcce-b302099a8057"
ROW = "{:<10}{:<32}{:>10}{:>10}{:>10}"

# Rows number $1 to $2. The text is all stop words: what a full-text search would find is no matter of depth.
LOAD_POSTS = f"""
    INSERT INTO posts (author_id, title, body, created_at)
    SELECT 1 + number % {AUTHORS}, 'What it is about', 'It is what it is, and not what it was.',
        timestamptz '2020-01-01 UTC' + number * interval '7 seconds'
    FROM generate_series($1::bigint, $2) AS number
"""
LOAD_COMMENTS = f"""
    INSERT INTO comments (post_id, author_id, body, created_at)
    SELECT '{POST}', 1 + number % {AUTHORS}, 'It is what it is, and not what it was.',
        timestamptz '2020-01-01 UTC' + number * interval '7 seconds'
    FROM generate_series($1::bigint, $2) AS number
"""
PREPARE = f"""
    INSERT INTO users (id, username, email, password_hash)
    SELECT number, 'author' || number, number || '@example.com', '' FROM generate_series(1, {AUTHORS}) AS number;
    INSERT INTO posts (id, author_id, title, body) VALUES ('{POST}', 1, 'About', 'It.');
"""


@dataclass(frozen=True, slots=True)
class Many:
    """A list to be made long: where it is, what loads it, and whether the newest come first."""

    name: str
    path: str
    load: str
    newest_first: bool

    def halves(self, rows: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the numbers of the rows of the far half, and those of the near one."""
        early, late = (1, rows // 2), (rows // 2 + 1, rows)
        return (early, late) if self.newest_first else (late, early)


LISTS = (
    Many("posts", "/api/posts/", LOAD_POSTS, newest_first=True),
    Many("comments", f"/api/posts/{POST}/comments/", LOAD_COMMENTS, newest_first=False),
)


async def load(url: str, many: Many, first: int, last: int) -> None:
    """Insert rows without checking their foreign keys."""
    began = time.monotonic()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET session_replication_role = replica")
        for start in range(first, last + 1, CHUNK):
            await connection.execute(many.load, start, min(start + CHUNK - 1, last))
        await connection.execute(f"VACUUM (ANALYZE) users, {many.name}")
    finally:
        await connection.close()
    print(f"{last - first + 1} {many.name} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def measure(there: Served, many: Many, rows: int, rounds: int) -> float:
    """Load the list, print what its parts cost, and return how many times the first the middle costs."""
    url = there.cluster.url(role=SUPERUSER, scheme="postgresql")
    far, near = many.halves(rows)
    asyncio.run(load(url, many, *far))
    with Client(there.port) as client:
        middle = client.get(f"{many.path}?cursor=")[1]["next_cursor"]
    asyncio.run(load(url, many, *near))
    taken: dict[str, list[float]] = {
        "first": [],
        "middle": [],
        "middle, one after the other": [],
        "first page, with its count": [],
    }
    walking = middle
    with Client(there.port) as client:
        for round_number in range(-WARM_UP, rounds):
            targets = dict(zip(taken, ("cursor=", f"cursor={middle}", f"cursor={walking}", "page=1"), strict=True))
            for kind, target in random.sample(list(targets.items()), k=len(targets)):  # what comes before may matter
                milliseconds, part = client.get(f"{many.path}?{target}")
                assert 1 <= len(part[many.name]) <= 20
                if kind.endswith("other"):
                    walking = part["next_cursor"] or middle
                if round_number >= 0:
                    taken[kind].append(milliseconds)
    first = median_and_p95(taken["first"])[0]
    for kind, milliseconds_each in taken.items():
        median, p95 = median_and_p95(milliseconds_each)
        print(ROW.format(many.name, kind, f"{median:.2f}", f"{p95:.2f}", f"{median / first:.2f}"), flush=True)
    return max(median_and_p95(taken[kind])[0] for kind in ("middle", "middle, one after the other")) / first


async def prepare(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(PREPARE)
    finally:
        await connection.close()


def main() -> int:
    arguments = argparse.ArgumentParser(description="What depth costs a list.")
    arguments.add_argument("--rows", type=int, default=ROWS, help="of each list")
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    asked = arguments.parse_args()
    rows = asked.rows
    with served() as there:
        asyncio.run(prepare(there.cluster.url(scheme="postgresql")))
        print(ROW.format("", f"of {rows} rows, 20 at a time", "median ms", "p95 ms", "to first"))
        ratios = [measure(there, many, rows, asked.rounds) for many in LISTS]
    return int(rows >= ROWS and max(ratios) > MOST)


if __name__ == "__main__":
    sys.exit(main())

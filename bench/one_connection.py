"""What it costs somebody who is alone that reads are asked together (ADR 12): `python -m bench.one_connection`.

One caller asks again when it is answered, so no two questions ever meet, and each takes what a batch of one takes
beyond a statement by itself, which is the same plain SELECT of a row by its key. The look-up of a token and a post's
row are asked for in this process, on uvloop and one pool, through `Together` and through `Alone`; then GET /api/auth/me
over HTTP and one connection of two services, the one as it is and one that reads through `Alone` (`bench.apps.alone`).

Both forms are asked in turns of 20 requests, in an order drawn, 200 times each in a round. What is told is the median
over the rounds of a round's median, and of the ratios of two medians of one round, with the least and the greatest.
Exits with 1 when the two differ in what they answer, or a request fails; never for a time.
"""

from __future__ import annotations

import argparse
import datetime
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import uvloop
from bench import machine
from bench.api_works import KINDS, works
from bench.counted_load import CountedLoad
from bench.dataset import ACCESS_SECONDS, Dataset, codec_of, dataset
from bench.systems import OURS, SYSTEMS, started, started_by
from bench.tables import median, table
from bench.targets import Target
from service.config import Settings
from service.context import open_context
from service.repositories.reads import Alone
from service.repositories.unit_of_work import Reading
from service.server import heap
from service.tokens import TokenType, generation

ROUNDS, REQUESTS, A_TURN, WARM_UP_ROUNDS = 30, 200, 20, 2
RESULTS = Path(__file__).parent / "results" / "one-connection.md"
MOST = 1.1
"""How many times what it takes alone it may take."""
LIBRARIES = ("sqlalchemy", "asyncpg", "uvloop")
TOGETHER, ALONE = "together", "alone"
Ask = Callable[[int], Awaitable[list[float]]]
"""Asks so often, one after the other, and returns the seconds of each."""


async def in_turns(forms: Mapping[str, Ask], rounds: int, requests: int) -> dict[str, list[float]]:
    """Return the seconds that each form took, by the rounds' medians.

    In a round they take turns of a few requests: a machine with other work is at another speed a moment later.
    """
    taken: dict[str, list[float]] = {name: [] for name in forms}
    for round_number in range(-WARM_UP_ROUNDS, rounds):
        of_round: dict[str, list[float]] = {name: [] for name in forms}
        while any(len(seconds) < requests for seconds in of_round.values()):
            for name in random.sample(list(forms), k=len(forms)):  # what comes before may matter
                of_round[name] += await forms[name](A_TURN)
        if round_number >= 0:
            for name, seconds in of_round.items():
                taken[name].append(statistics.median(seconds))
    return taken


async def of_reads(rows: Dataset, rounds: int, requests: int) -> dict[str, dict[str, list[float]]]:
    """Ask for a token's holder, and for a post, in this process."""
    settings = Settings.load(
        _env_file=None, app_env="testing", secret_key=rows.secret_key, access_token_seconds=ACCESS_SECONDS
    )
    codec, now = codec_of(rows.secret_key), datetime.datetime.now(datetime.UTC)
    claims = [codec.read(token, TokenType.ACCESS, now) for token in rows.tokens]
    holders = [(one.user_id, one.session_id, generation(one.jti)) for one in claims]
    posts = [(post_id,) for post_id in rows.post_ids]
    async with open_context(settings, rows.url) as context:
        reading = {TOGETHER: context.reading, ALONE: Reading(Alone(context.engine))}
        looked_up = {name: each.users.holder_of for name, each in reading.items()}
        found = {name: each.posts.get for name, each in reading.items()}
        heap.freeze()
        return {
            "the look-up of a token": await _both(looked_up, holders, rounds, requests),
            "a post's row": await _both(found, posts, rounds, requests),
        }


async def _both(
    reads: Mapping[str, Callable[..., Awaitable[Any]]], keys: list[tuple[Any, ...]], rounds: int, requests: int
) -> dict[str, list[float]]:
    for key in keys[:10]:
        one, other = [await read(*key) for read in reads.values()]
        if one is None or one != other:
            raise SystemExit(f"bench: {one} is read together, and {other} alone")
    return await in_turns({name: _asking(read, keys) for name, read in reads.items()}, rounds, requests)


def _asking(read: Callable[..., Awaitable[Any]], keys: list[tuple[Any, ...]]) -> Ask:
    turn = cycle(keys)

    async def ask(requests: int) -> list[float]:
        taken = list[float]()
        for key in islice(turn, requests):
            began = time.perf_counter()
            await read(*key)
            taken.append(time.perf_counter() - began)
        return taken

    return ask


async def of_requests(ports: Mapping[str, int], rows: Dataset, rounds: int, requests: int) -> dict[str, list[float]]:
    """Ask two services for a caller's account, over one connection each."""
    loads = {name: CountedLoad(port, works(rows)["me"]) for name, port in ports.items()}
    try:
        for load in loads.values():
            await load.open(1)
        return await in_turns({name: _loading(load) for name, load in loads.items()}, rounds, requests)
    finally:
        for load in loads.values():
            load.close()


def _loading(load: CountedLoad) -> Ask:
    async def ask(requests: int) -> list[float]:
        outcome = await load.ask(requests)
        if outcome.errors or outcome.timeouts:
            raise SystemExit(f"bench: {dict(outcome.faults)}, {outcome.timeouts} time-outs")
        return outcome.latencies

    return ask


def report(measured: Mapping[str, Mapping[str, list[float]]]) -> str:
    """Return a table of the medians, of their ratios, and of whether these are what was promised."""
    lines = []
    for what, taken in measured.items():
        together, alone = taken[TOGETHER], taken[ALONE]
        ratios = [one / other for one, other in zip(together, alone, strict=True)]
        words, bound, told, kept = Target(what, ratios, most=MOST).row()
        medians = (median((1e6 * seconds for seconds in each), ".0f") for each in (together, alone))
        lines.append((words, *medians, told, bound, kept))
    return table(("one caller, one after the other", "together, µs", "alone, µs", "ratio", "promised", ""), lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="What it costs somebody who is alone that reads are asked together.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--requests", type=int, default=REQUESTS, help="of each form in each round")
    parser.add_argument("--check", action="store_true", help="a tiny run, which leaves no file")
    asked, load_at_begin = parser.parse_args(), os.getloadavg()[0]
    if asked.check:
        asked.rounds, asked.requests = 1, A_TURN
    services = {TOGETHER: SYSTEMS[OURS], ALONE: started_by("bench.apps.alone")}
    with dataset() as rows:
        measured = uvloop.run(of_reads(rows, asked.rounds, asked.requests))
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            ports = {name: stack.enter_context(started(one, rows, Path(folder))).port for name, one in services.items()}
            over_http = uvloop.run(of_requests(ports, rows, asked.rounds, asked.requests))
    measured[f"{KINDS['me'].title} over HTTP"] = over_http
    how = f"{asked.rounds} rounds of {asked.requests} each; {rows.rows} users and as many posts"
    said = " ".join(machine.about(how, machine.versions(LIBRARIES), load_at_begin))
    text = f"# One connection (`make bench-one-connection`)\n\n{said}\n\n{report(measured)}\n"
    print(text)
    if not asked.check:
        RESULTS.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

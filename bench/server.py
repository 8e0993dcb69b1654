"""What a server takes for a bare application's answers: `python -m bench.server`.

Stock Hypercorn, ours under both event loops, uvicorn and Granian, by one client in this process, in turns: in each
round all are started, and for each kind of work and number of connections each is measured once, in an order drawn.
Then each is started once more, for the memory that idle connections take. The tables go to the terminal, and with all
raw figures to bench/results; those of `--check`, a tiny run, are for the terminal only.

Exits with 1 when a server answers something else than it should, and when one fails a request in a `--check`; never for
a time.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import http.client
import json
import os
import random
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop
from bench import machine
from bench.load import TIMEOUT_SECONDS, Load, Outcome
from bench.peers import DEFAULT_SYSTEMS, SYSTEMS, Server, System, allow_descriptors, install_peers, started, versions
from bench.server_report import Cell, Idle, report
from bench.works import WORKS, BareWork

RESULTS = Path(__file__).parent / "results"
IDLE_WARM_UP_CONNECTIONS = 50
SETTLE_SECONDS = 0.5
KEEP_ALIVE_SECONDS, IDLE_KEEP_ALIVE_SECONDS = 5, 75
"""Of connections in use it is what Hypercorn and uvicorn have by themselves. Those that are idle have to stay."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured: how often, for how long each, with how many connections, and with how many idle ones."""

    rounds: int
    seconds: float
    warm_up_seconds: float
    connections: list[int]
    idle: int
    works: list[BareWork]
    systems: list[System]
    results: Path | None
    is_check: bool


def plan(arguments: list[str] | None = None) -> Plan:
    parser = argparse.ArgumentParser(description="What a server takes for a bare application's answers.")
    parser.add_argument("--check", action="store_true", help="a tiny run: does it work?")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each cell")
    parser.add_argument("--connections", type=_listed, metavar="1,32")
    parser.add_argument("--idle", type=int, help="connections for the measurement of memory; 0 for none")
    parser.add_argument("--work", type=_listed, default=list(WORKS), metavar=",".join(WORKS))
    parser.add_argument("--systems", type=_listed, default=DEFAULT_SYSTEMS, metavar=",".join(SYSTEMS))
    parser.add_argument("--results", type=Path, metavar="FOLDER", help=f"by default {RESULTS}")
    asked = parser.parse_args(arguments)
    for names, known in ((asked.work, WORKS.keys()), (asked.systems, SYSTEMS.keys())):
        if unknown := set(names) - known:
            parser.error(f"{unknown.pop()} is none of {', '.join(known)}")
    rounds, seconds, connections, idle = (
        (1, 0.1, [1, 32], 100) if asked.check else (4, 1.5, [1, 32, 256, 1000, 2000], 5000)
    )
    return Plan(
        rounds=asked.rounds or rounds,
        seconds=asked.seconds or seconds,
        warm_up_seconds=(asked.seconds or seconds) / 5,
        connections=[int(count) for count in asked.connections or connections],
        idle=idle if asked.idle is None else asked.idle,
        works=[WORKS[name] for name in asked.work],
        systems=[SYSTEMS[name] for name in asked.systems],
        results=asked.results or (None if asked.check else RESULTS),
        is_check=asked.check,
    )


def _listed(words: str) -> list[str]:
    return words.split(",")


def measure(round_number: int, server: Server, work: BareWork, connections: int, planned: Plan) -> Cell:
    """Warm a server up and measure it, when there is nothing left of the last time; leave it with nothing to do."""
    server.wait_until_rid_of_connections()
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(_measure(round_number, server, work, connections, planned))
    finally:
        gc.enable()
        server.wait_until_quiet()


async def _measure(round_number: int, server: Server, work: BareWork, connections: int, planned: Plan) -> Cell:
    load = Load(server.port, work)
    try:
        before = [await load.open(connections), await load.run(planned.warm_up_seconds)]
        taken = server.processor_seconds()
        outcome = await load.run(planned.seconds)
        taken = server.processor_seconds() - taken
    finally:
        load.close()
    await asyncio.sleep(0)  # or the connections would not be closed
    all_of_it = [*before, outcome]
    p50_ms, p99_ms = percentiles_ms(outcome)
    return Cell(
        round=round_number,
        work=work.name,
        connections=connections,
        system=server.system.name,
        requests=len(outcome.latencies),
        seconds=outcome.seconds,
        server_seconds=taken,
        client_seconds=outcome.client_seconds,
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        errors=sum(part.errors for part in all_of_it),
        timeouts=sum(part.timeouts for part in all_of_it),
        reconnections=sum(part.reconnections for part in all_of_it),
    )


def percentiles_ms(outcome: Outcome) -> tuple[float | None, float | None]:
    """Return the latency that half of all requests kept, and that 99 of 100 did."""
    ordered = sorted(outcome.latencies)
    if not ordered:
        return None, None
    return 1000 * ordered[len(ordered) // 2], 1000 * ordered[len(ordered) * 99 // 100]


def measure_all(round_number: int, planned: Plan, folder: Path) -> list[Cell]:
    """Measure each system in each cell once, one after another."""
    cells = []
    with ExitStack() as stack:
        servers = [
            stack.enter_context(started(system, folder, keep_alive_seconds=KEEP_ALIVE_SECONDS))
            for system in planned.systems
        ]
        for server in servers:
            check_answers(server, planned.works)
        for work in planned.works:
            for connections in planned.connections:
                say(f"round {round_number} of {planned.rounds}: {work.title}, {connections} connections")
                drawn = random.sample(servers, k=len(servers))  # what comes before may matter
                cells += [measure(round_number, server, work, connections, planned) for server in drawn]
    return cells


def check_answers(server: Server, works: list[BareWork]) -> None:
    """Have each kind of work done once.

    Raises:
        SystemExit: an answer is not the one that all have to give.
    """
    for work in works:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
        head, _, body = work.requests[0].sent.partition(b"\r\n\r\n")
        method, target, _ = head.decode().split(" ", 2)
        connection.request(method, target, body or None)
        answer = connection.getresponse()
        if (answer.status, answer.read()) != (200, work.answer):
            raise SystemExit(f"bench: {server.system.title} answers {method} {target} as it should not")
        connection.close()


def measure_idle(round_number: int, planned: Plan, folder: Path) -> list[Idle]:
    """Measure what idle connections take of each system's memory."""
    found = []
    for system in random.sample(planned.systems, k=len(planned.systems)):
        say(f"round {round_number} of {planned.rounds}: {system.title}, {planned.idle} idle connections")
        with started(system, folder, keep_alive_seconds=IDLE_KEEP_ALIVE_SECONDS) as server:
            found.append(uvloop.run(_measure_idle(round_number, server, planned.idle)))
    return found


async def _measure_idle(round_number: int, server: Server, connections: int) -> Idle:
    """Count those in that each made a request, beside some that did so before, for what a server makes only once."""
    warm_up, load = Load(server.port, WORKS["small"]), Load(server.port, WORKS["small"])
    try:
        first = await warm_up.open(IDLE_WARM_UP_CONNECTIONS)
        await asyncio.sleep(SETTLE_SECONDS)
        before = server.resident_kib()
        outcome = await load.open(connections)
        await asyncio.sleep(SETTLE_SECONDS)
        kib_with = server.resident_kib()
    finally:
        warm_up.close()
        load.close()
    wrong = first.errors + first.timeouts + outcome.errors + outcome.timeouts + outcome.reconnections
    return Idle(round_number, server.system.name, connections, before, kib_with, wrong)


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def about(planned: Plan, load_at_begin: float) -> list[str]:
    """Say when and where it was, a sentence each."""
    return machine.about(f"rounds: {planned.rounds}, of {planned.seconds} s a cell", versions(), load_at_begin)


def main() -> int:
    planned, load_at_begin = plan(), os.getloadavg()[0]
    allow_descriptors(max(*planned.connections, planned.idle))
    install_peers()
    cells, idle = list[Cell](), list[Idle]()
    with tempfile.TemporaryDirectory() as name:
        for round_number in range(1, planned.rounds + 1):
            cells += measure_all(round_number, planned, Path(name))
            idle += measure_idle(round_number, planned, Path(name)) if planned.idle else []
    said = about(planned, load_at_begin)
    text = report(said, cells, idle)
    print(text)
    if planned.results:
        planned.results.mkdir(parents=True, exist_ok=True)
        (planned.results / "server.md").write_text(text)
        raw = {"about": said, "cells": [asdict(cell) for cell in cells], "idle": [asdict(entry) for entry in idle]}
        (planned.results / "server.json").write_text(json.dumps(raw, indent=1) + "\n")
    failed = any(cell.errors or cell.timeouts for cell in cells) or any(entry.errors for entry in idle)
    return int(failed and planned.is_check)


if __name__ == "__main__":
    sys.exit(main())

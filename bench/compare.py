"""The service beside its peers, doing the same work on the same rows: `python -m bench.compare`.

In each round all systems are started, and for each kind of work and number of connections each is measured once, in an
order drawn; then in an open loop. By one client, in this process. The tables go to the terminal, and with plots and all
raw figures to bench/results; those of `--check`, a tiny run, are for the terminal only. `--users 1000000` has it on so
many rows, with results of their own.

Exits with 1 when a system does not do the same work, and when one fails a request in a `--check`; never for a time.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench import machine
from bench.api_works import KINDS, works
from bench.cells import Cell, Peak, Results
from bench.compare_report import report
from bench.dataset import USERS, Dataset, dataset
from bench.measuring import OPEN_CONNECTIONS, Database, Pace, Subject, Timing, at_pace, flat_out, warm_up
from bench.peers import PEERS_PYTHON, Server, allow_descriptors, install_peers, versions
from bench.same_work import prove
from bench.systems import OURS, PACKAGES, SYSTEMS, WAITING, started
from bench.targets import FASTAPI, GUIDE, WAITS
from tests.support.processes import ROOT, environment

T = TypeVar("T")
RESULTS = Path(__file__).parent / "results"
PACED, PACED_CONNECTIONS = "me", 32
"""The work of the open loop, and at how many connections the most of it is looked for."""
CHECKED, CHECKED_WORKS = (OURS, FASTAPI, GUIDE), (PACED, "mixed", "wait")
"""What a check looks at: a mixed day has all but the view that waits."""
OPEN_TIMES = 2
"""A cell of the open loop is so many times as long: few requests come, and one in a thousand is looked for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured: how often, for how long each, with how many connections at most, on how many rows.

    ``results`` is the folder of what is written, and ``name`` what its files' names begin with.
    """

    rounds: int
    timing: Timing
    connections: list[int]
    works: list[str]
    systems: list[str]
    users: int
    results: Path | None
    name: str
    is_check: bool

    @property
    def paced_timing(self) -> Timing:
        return Timing(OPEN_TIMES * self.timing.seconds, self.timing.warm_up_seconds)

    def cells(self) -> Iterator[tuple[str, int]]:
        """Give each kind of work with the numbers of connections that it is measured with."""
        for work in self.works:
            for connections in KINDS[work].connections:
                if connections in self.connections:
                    yield work, connections


def plan(arguments: list[str] | None = None) -> Plan:
    counts = sorted({count for kind in KINDS.values() for count in kind.connections})
    parser = argparse.ArgumentParser(description="The service beside its peers, doing the same work on the same rows.")
    parser.add_argument("--check", action="store_true", help="a tiny run: does it work?")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each cell")
    parser.add_argument("--connections", type=_listed, metavar=",".join(map(str, counts)))
    parser.add_argument("--work", type=_listed, metavar=",".join(KINDS))
    parser.add_argument("--systems", type=_listed, metavar=",".join(SYSTEMS))
    parser.add_argument("--users", type=int, metavar="N", help=f"and as many posts, by default {USERS}")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help=f"by default {RESULTS}")
    asked = parser.parse_args(arguments)
    rounds, seconds, connections = (1, 0.1, [32]) if asked.check else (3, 1.5, counts)
    chosen = asked.systems or list(CHECKED if asked.check else SYSTEMS)
    kinds = asked.work or list(CHECKED_WORKS if asked.check else KINDS)
    for names, known in ((kinds, KINDS.keys()), (chosen, SYSTEMS.keys())):
        if unknown := set(names) - known:
            parser.error(f"{unknown.pop()} is none of {', '.join(known)}")
    if OURS not in chosen or len(set(chosen)) < 2:
        parser.error(f"{OURS} is measured beside others, and they beside it")
    seconds = asked.seconds or seconds
    return Plan(
        rounds=asked.rounds or rounds,
        timing=Timing(seconds, seconds / 5),
        connections=[int(count) for count in asked.connections or connections],
        works=kinds,
        systems=chosen,
        users=asked.users or USERS,
        results=asked.results or (None if asked.check else RESULTS),
        name=f"compare-{asked.users}" if asked.users else "compare",
        is_check=asked.check,
    )


def _listed(words: str) -> list[str]:
    return words.split(",")


def measure_round(round_number: int, planned: Plan, rows: Dataset, folder: Path) -> tuple[list[Cell], list[Peak]]:
    """Have all systems up, and each measured once in each cell, one after another."""
    say = _narrator(round_number, planned.rounds)
    with _all_started(planned, rows, folder) as servers:
        prove([server for name, server in servers.items() if name in SYSTEMS], rows)
        database, asked, cells = Database(rows.cluster), works(rows), list[Cell]()
        subjects = {name: Subject(round_number, server, database) for name, server in servers.items()}
        say("warm-up")
        for name in planned.systems:
            warm_up(subjects[name], asked["mixed"], planned.timing)
        for work, connections in planned.cells():
            say(f"{KINDS[work].title}, {connections} connections")
            those_of_it = WAITING if work == "wait" else SYSTEMS
            for subject in _drawn(subjects[name] for name in those_of_it if name in subjects):
                cells.append(flat_out(subject, asked[work], connections, planned.timing))
        say("an open loop")
        cells += [
            at_pace(subjects[name], asked[PACED], pace, planned.paced_timing) for name, pace in _drawn(_paces(cells))
        ]
        return cells, [Peak(round_number, name, server.peak_kib()) for name, server in servers.items()]


def _drawn(those: Iterable[T]) -> list[T]:
    """Return them in an order that is drawn: what comes before may matter."""
    some = list(those)
    return random.sample(some, k=len(some))


def _paces(cells: Iterable[Cell]) -> list[tuple[str, Pace]]:
    """Return who is measured at which pace: each at half of its own most, ours and FastAPI at each other's, too."""
    halves = {
        cell.system: Pace(cell.system, cell.per_second / 2)
        for cell in cells
        if (cell.work, cell.connections) == (PACED, PACED_CONNECTIONS) and cell.requests
    }
    others = [(OURS, FASTAPI), (FASTAPI, OURS)]
    crossed = [(name, halves[other]) for name, other in others if name in halves and other in halves]
    return [*halves.items(), *crossed]


@contextmanager
def _all_started(planned: Plan, rows: Dataset, folder: Path) -> Iterator[Mapping[str, Server]]:
    """Start all systems, and those whose views wait if they are asked for, by name."""
    systems = {name: SYSTEMS[name] for name in planned.systems}
    if "wait" in planned.works:
        systems[WAITS] = WAITING[WAITS]
    with ExitStack() as stack:
        yield {name: stack.enter_context(started(system, rows, folder)) for name, system in systems.items()}


def _narrator(round_number: int, rounds: int) -> Callable[[str], None]:
    began = time.monotonic()

    def say(words: str) -> None:
        print(
            f"round {round_number} of {rounds}, {time.monotonic() - began:.0f} s: {words}", file=sys.stderr, flush=True
        )

    return say


def about(planned: Plan, load_at_begin: float) -> list[str]:
    """Say when and where it was, and on how many rows, a sentence each."""
    how = f"{planned.users} users and as many posts; rounds: {planned.rounds}, of {planned.timing.seconds} s a cell"
    return machine.about(how, versions(PACKAGES), load_at_begin)


def save(results: Results, text: str, folder: Path, name: str) -> None:
    """Write the tables, all raw figures, and the plots of them, which are drawn in the peers' environment."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text)
    (folder / f"{name}.json").write_text(results.as_json())
    command = [str(PEERS_PYTHON), "-m", "bench.plots", str(folder), name]
    subprocess.run(command, check=True, cwd=ROOT, env=environment())


def main() -> int:
    planned, load_at_begin = plan(), os.getloadavg()[0]
    allow_descriptors(max(*planned.connections, OPEN_CONNECTIONS))
    install_peers()
    cells, peaks = list[Cell](), list[Peak]()
    with dataset(planned.users) as rows, tempfile.TemporaryDirectory() as name:
        for round_number in range(1, planned.rounds + 1):
            of_round = measure_round(round_number, planned, rows, Path(name))
            cells += of_round[0]
            peaks += of_round[1]
    titles = {name: system.title for name, system in (SYSTEMS | WAITING).items()}
    results = Results(about(planned, load_at_begin), titles, cells, peaks)
    text = report(results)
    print(text)
    if planned.results:
        save(results, text, planned.results, planned.name)
    return int(planned.is_check and any(cell.errors or cell.timeouts for cell in cells))


if __name__ == "__main__":
    sys.exit(main())

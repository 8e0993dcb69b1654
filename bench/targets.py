"""What was promised of the service beside its peers, and whether a run kept it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.api_works import KINDS
from bench.cells import Cell
from bench.measuring import OPEN_CONNECTIONS
from bench.systems import OURS
from bench.tables import NOTHING, spread, table

FASTAPI, TUNED, GUIDE, FLOOR = "fastapi", "fastapi-tuned", "guide", "floor-hypercorn"
WAITS = "waiting"
"""The system that is ours where views wait."""
Titles = Mapping[str, str]
Ratio = Callable[[Cell, Cell], float]


@dataclass(frozen=True, slots=True)
class Place:
    """Where cells are found: a kind of work, with so many connections or, in an open loop, at a pace."""

    work: str
    connections: int
    pace: str = ""

    def holds(self, cell: Cell) -> bool:
        return (cell.work, cell.connections, cell.pace) == (self.work, self.connections, self.pace)


@dataclass(frozen=True, slots=True)
class Target:
    """A figure of each round, and its bound, within which the median over the rounds has to be."""

    words: str
    values: Sequence[float]
    least: float = 0.0
    most: float = math.inf

    def row(self) -> tuple[str, str, str, str]:
        bound = f"at least {self.least:g}" if self.least else f"at most {self.most:g}"
        if not self.values:
            return self.words, bound, NOTHING, "not measured"
        kept = self.least <= statistics.median(self.values) <= self.most
        return self.words, bound, spread(self.values), "kept" if kept else "**missed**"


def targets_table(cells: Sequence[Cell], titles: Titles) -> str:
    rows = [target.row() for target in targets(cells, titles)]
    return table(("what", "promised", "measured", ""), rows)


def targets(cells: Sequence[Cell], titles: Titles) -> list[Target]:
    return [*_processor(cells, titles), *_rates(cells, titles), *_failures(cells), *_latencies(cells, titles)]


def _processor(cells: Sequence[Cell], titles: Titles) -> Iterator[Target]:
    """Give what is promised of processor time, which is at 32 connections."""
    promised = {
        "me": {FASTAPI: 3.5, TUNED: 2.5, GUIDE: 4.5},
        "list": {FASTAPI: 2.5, TUNED: 2.0, GUIDE: 3.5},
        "post": {FASTAPI: 3.0, GUIDE: 4.0},
        "create": {FASTAPI: 1.7, GUIDE: 2.2},
    }
    for work, least_of in promised.items():
        for peer, least in least_of.items():
            words = f"{KINDS[work].title}, 32 connections: processor time, {titles[peer]} to ours"
            yield Target(words, _beside(cells, Place(work, 32), peer, times_the_processor), least=least)
        if work == "me":
            words = f"{KINDS[work].title}, 32 connections: processor time, ours to {titles[FLOOR]}"
            yield Target(words, _beside(cells, Place(work, 32), FLOOR, of_processor), most=0.9)


def _rates(cells: Sequence[Cell], titles: Titles) -> Iterator[Target]:
    for connections in (256, 1000):
        for peer, least in ((FASTAPI, 5.0), (TUNED, 3.5)):
            words = f"{KINDS['me'].title}, {connections} connections: requests/s, ours to {titles[peer]}"
            yield Target(words, _beside(cells, Place("me", connections), peer, times_the_rate), least=least)
    place = Place("wait", 2000)
    words = f"{KINDS['wait'].title}, 2000 connections: requests/s, ours to {titles[FASTAPI]}"
    yield Target(words, _beside(cells, place, FASTAPI, times_the_rate, ours=WAITS), least=1.0)


def _failures(cells: Sequence[Cell]) -> Iterator[Target]:
    for place, ours in ((Place("me", 256), OURS), (Place("me", 1000), OURS), (Place("wait", 2000), WAITS)):
        found = at(cells, place, ours)
        words = f"{KINDS[place.work].title}, {place.connections} connections: errors and time-outs of ours, all rounds"
        yield Target(words, [sum(cell.errors + cell.timeouts for cell in found)] if found else [], most=0)


def _latencies(cells: Sequence[Cell], titles: Titles) -> Iterator[Target]:
    for connections, most in ((32, 20.0), (256, 80.0)):
        found = at(cells, Place("me", connections), OURS)
        words = f"{KINDS['me'].title}, {connections} connections flat out: p99 of ours, ms"
        yield Target(words, [cell.latency_ms(99) for cell in found if cell.requests], most=most)
    for pace in (OURS, FASTAPI):
        words = f"{KINDS['me'].title}, open loop at half of the most of {titles[pace]}: p99, ours to {titles[FASTAPI]}"
        yield Target(words, _beside(cells, Place("me", OPEN_CONNECTIONS, pace), FASTAPI, of_p99), most=1.0)


def _beside(cells: Sequence[Cell], place: Place, peer: str, ratio: Ratio, *, ours: str = OURS) -> list[float]:
    return ratios(at(cells, place, ours), at(cells, place, peer), ratio)


def ratios(ours: Iterable[Cell], theirs: Iterable[Cell], ratio: Ratio) -> list[float]:
    """Return a ratio of each round in which both have answered."""
    beside = {cell.round: cell for cell in theirs if cell.requests and cell.server_seconds}
    pairs = [(cell, beside[cell.round]) for cell in ours if cell.round in beside]
    return [ratio(cell, other) for cell, other in pairs if cell.requests and cell.server_seconds]


def times_the_processor(ours: Cell, theirs: Cell) -> float:
    """Return how many times the processor time of ours theirs is."""
    return theirs.processor_us / ours.processor_us


def times_the_rate(ours: Cell, theirs: Cell) -> float:
    """Return how many times as many requests a second ours does."""
    return ours.per_second / theirs.per_second


def of_processor(ours: Cell, theirs: Cell) -> float:
    return 1 / times_the_processor(ours, theirs)


def of_p99(ours: Cell, theirs: Cell) -> float:
    return ours.latency_ms(99) / theirs.latency_ms(99)


def at(cells: Iterable[Cell], place: Place, system: str) -> list[Cell]:
    return [cell for cell in cells if place.holds(cell) and cell.system == system]

"""What `bench.compare` measures, as values: one system, once. How they become tables is in `bench.compare_report`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

POINTS = (50, 75, 90, 95, 99, 99.9, 100)
"""The percentiles that are kept of the latencies."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one system did in one round of one kind of work, with so many connections.

    ``seconds`` goes on to the last answer. In an open loop ``pace`` says what the rate is half of, by a system's name,
    ``rate`` how many requests a second that is, and ``in_time`` counts the answers that came in the ``asking_seconds``
    in which requests were due; else all of these are empty. Processor time is that of the server's processes, of the
    database's, and of the client. ``latencies_ms`` are at the POINTS, and none without an answer. ``faults`` says what
    the errors were, and how often.
    """

    round: int
    work: str
    connections: int
    system: str
    pace: str
    rate: float
    requests: int
    in_time: int
    asking_seconds: float
    seconds: float
    server_seconds: float
    database_seconds: float
    client_seconds: float
    latencies_ms: tuple[float, ...]
    faults: dict[str, int]
    timeouts: int
    reconnections: int

    @property
    def errors(self) -> int:
        return sum(self.faults.values())

    @property
    def per_second(self) -> float:
        return self.in_time / self.asking_seconds if self.pace else self.requests / self.seconds

    @property
    def processor_us(self) -> float:
        """Processor time of the server for a request."""
        return 1e6 * self.server_seconds / self.requests

    @property
    def database_us(self) -> float:
        """Processor time of PostgreSQL for a request."""
        return 1e6 * self.database_seconds / self.requests

    @property
    def client_share(self) -> float:
        """How much of a core the client took."""
        return self.client_seconds / self.seconds

    def latency_ms(self, point: float) -> float:
        return self.latencies_ms[POINTS.index(point)]


@dataclass(frozen=True, slots=True)
class Peak:
    """The most memory that one system's processes had in use in one round, each at its own time."""

    round: int
    system: str
    kib: int


@dataclass(frozen=True, slots=True)
class Results:
    """All of a run: when and where, a sentence each; the systems' titles by name; the figures of all rounds."""

    about: Sequence[str]
    titles: dict[str, str]
    cells: Sequence[Cell]
    peaks: Sequence[Peak]

    def as_json(self) -> str:
        """Return it with a line for each cell, so that it stays small and two runs can be held side by side."""
        parts = {
            "about": json.dumps(self.about),
            "titles": json.dumps(self.titles),
            "points": json.dumps(POINTS),
            "cells": _lines(self.cells),
            "peaks": _lines(self.peaks),
        }
        return "{\n" + ",\n".join(f'"{name}": {text}' for name, text in parts.items()) + "\n}\n"


def _lines(entries: Sequence[Cell | Peak]) -> str:
    lines = (json.dumps({name: _short(value) for name, value in asdict(entry).items()}) for entry in entries)
    return "[\n" + ",\n".join(lines) + "\n]"


def _short(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value


def at_points(latencies: Sequence[float]) -> tuple[float, ...]:
    """Return the milliseconds that so many of 100 requests took at most, at each of the POINTS."""
    ordered = sorted(latencies)
    if not ordered:
        return ()
    last = len(ordered) - 1
    return tuple(round(1000 * ordered[min(last, int(len(ordered) * point / 100))], 3) for point in POINTS)

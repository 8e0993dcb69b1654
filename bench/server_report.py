"""What `bench.server` has measured, and how it is told: medians over the rounds, and ratios computed within each.

Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.peers import SYSTEMS
from bench.tables import median, spread, table
from bench.works import WORKS

BUSY = 0.9
"""From this share of a core on, the client is what limits."""
BESIDE = ("hypercorn", "uvicorn")
FIGURES = (
    *("processor µs", "requests/s", "p50 ms", "p99 ms", "errors", "time-outs"),
    *("server's core %", "client's core %", "client µs"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """What one system did in one round with so many connections and one kind of work.

    ``seconds`` is from the first request to the last answer, ``server_seconds`` and ``client_seconds`` the processor
    time of each for it. Without an answer the latencies are None.
    """

    round: int
    work: str
    connections: int
    system: str
    requests: int
    seconds: float
    server_seconds: float
    client_seconds: float
    p50_ms: float | None
    p99_ms: float | None
    errors: int
    timeouts: int
    reconnections: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def processor_us(self) -> float:
        """Processor time of the server for a request."""
        return 1e6 * self.server_seconds / self.requests

    @property
    def client_us(self) -> float:
        """Processor time of the client for a request."""
        return 1e6 * self.client_seconds / self.requests


@dataclass(frozen=True, slots=True)
class Idle:
    """The memory of one system's processes in one round, before and with so many idle connections more."""

    round: int
    system: str
    connections: int
    kib_before: int
    kib_with: int
    errors: int

    @property
    def kib_each(self) -> float:
        return (self.kib_with - self.kib_before) / self.connections


def report(about: Sequence[str], cells: Sequence[Cell], idle: Sequence[Idle]) -> str:
    """Return the whole of it as Markdown; `about` says where and when, a sentence each."""
    parts = ["# Servers beside each other (`make bench-server`)", " ".join(about), _how_to_read(cells)]
    for work in dict.fromkeys(cell.work for cell in cells):
        of_it = [cell for cell in cells if cell.work == work]
        parts += [f"## {WORKS[work].title}", figures(of_it), ratios(of_it)]
    if idle:
        parts += [f"## Memory of one of {idle[0].connections} idle connections", memory(idle)]
    return "\n\n".join(parts) + "\n"


def _how_to_read(cells: Sequence[Cell]) -> str:
    said = (
        "Each server has one process that works. All are asked by the same client, in turns. Figures are medians over"
        " the rounds; ratios are computed within each round, and beside their median are the least and the greatest."
        " Processor time is that of all of a server's processes and threads (Granian has two that work), for one"
        " request."
    )
    if any(_client_is_limit(cell) for cell in cells):
        said += (
            f" \\* The client was busier than {BUSY:.0%} of a core: requests/s and latencies are its own limit, and"
            " processor time is the figure to read."
        )
    return said


def figures(cells: Sequence[Cell]) -> str:
    """Return a table of what each system did, by connections."""
    rows = []
    for connections, system, group in _groups(cells):
        busy = "\\*" if any(map(_client_is_limit, group)) else ""
        rows.append(
            (
                str(connections),
                system,
                _median(group, lambda cell: cell.processor_us, ".1f"),
                _median(group, lambda cell: cell.per_second, ".0f") + busy,
                _median(group, lambda cell: cell.p50_ms or 0, ".2f") + busy,
                _median(group, lambda cell: cell.p99_ms or 0, ".2f") + busy,
                str(sum(cell.errors for cell in group)),
                str(sum(cell.timeouts for cell in group)),
                _median(group, lambda cell: 100 * cell.server_seconds / cell.seconds, ".0f"),
                _median(group, lambda cell: 100 * cell.client_seconds / cell.seconds, ".0f"),
                _median(group, lambda cell: cell.client_us, ".1f"),
            )
        )
    return table(("connections", "server", *FIGURES), rows)


def ratios(cells: Sequence[Cell]) -> str:
    """Return a table of how each system's processor time and rate are to those that it is held against."""
    rows = []
    for connections, system, group in _groups(cells):
        row = [str(connections), system]
        for beside in BESIDE:
            others = {
                cell.round: cell
                for cell in cells
                if (cell.system, cell.connections) == (beside, connections) and cell.requests
            }
            pairs = [(cell, others[cell.round]) for cell in group if cell.requests and cell.round in others]
            row.append(
                spread([ours.processor_us / theirs.processor_us for ours, theirs in pairs if theirs.server_seconds])
            )
            row.append(spread([ours.per_second / theirs.per_second for ours, theirs in pairs]))
        rows.append(row)
    titles = [f"{what} to {SYSTEMS[beside].title}" for beside in BESIDE for what in ("processor time", "requests/s")]
    return table(("connections", "server", *titles), rows)


def memory(idle: Sequence[Idle]) -> str:
    """Return a table of what an idle connection takes of each system's memory."""
    rows = []
    for system in (name for name in SYSTEMS if any(entry.system == name for entry in idle)):
        group = [entry for entry in idle if entry.system == system]
        row = [SYSTEMS[system].title, spread([entry.kib_each for entry in group], ".1f")]
        for beside in BESIDE:
            others = {entry.round: entry.kib_each for entry in idle if entry.system == beside}
            row.append(spread([entry.kib_each / others[entry.round] for entry in group if others.get(entry.round)]))
        rows.append([*row, str(sum(entry.errors for entry in group))])
    titles = [f"to {SYSTEMS[beside].title}" for beside in BESIDE]
    return table(("server", "KiB", *titles, "errors"), rows)


def _groups(cells: Sequence[Cell]) -> Iterable[tuple[int, str, list[Cell]]]:
    """Give the rounds' cells of each number of connections and system, with the system's title."""
    for connections in dict.fromkeys(cell.connections for cell in cells):
        for system in SYSTEMS:
            group = [cell for cell in cells if (cell.connections, cell.system) == (connections, system)]
            if group:
                yield connections, SYSTEMS[system].title, group


def _client_is_limit(cell: Cell) -> bool:
    return cell.client_seconds > BUSY * cell.seconds


def _median(cells: Iterable[Cell], figure: Callable[[Cell], float], form: str) -> str:
    return median((figure(cell) for cell in cells if cell.requests), form)

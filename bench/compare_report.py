"""What `bench.compare` has measured, and how it is told: medians over the rounds, and ratios computed within each.

Nothing is measured here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from bench.api_works import KINDS
from bench.cells import Cell, Peak, Results
from bench.systems import OURS
from bench.tables import median, spread, table
from bench.targets import WAITS, Place, at, ratios, targets_table, times_the_processor, times_the_rate

BUSY = 0.9
"""From this share of a core on, the client is what limits."""
KEEPS_UP = 0.95
"""So much of what was due in an open loop has to be answered before its end."""
FIGURES = (
    *("processor µs", "to ours", "requests/s", "ours to it", "p50 ms", "p99 ms", "p99.9 ms", "errors", "time-outs"),
    *("PostgreSQL's µs", "client's core %"),
)
HOW_TO_READ = (
    "Each system has one process that works, on the same rows of the same PostgreSQL; that all do the same work is"
    " proven before. One client asks them in turns, in an order drawn for each cell. Figures are medians over the"
    " rounds. Ratios are to ours, computed within each round, and beside their median are the least and the greatest."
    " Processor time is that of all of a server's processes, for one request, as the operating system accounts for it;"
    " PostgreSQL's is apart, and the client's, which share the cores. Requests a second are of all that were answered,"
    " by the time to the last answer. What took more than 5 s has timed out, and is in no latency."
)
HOW_IT_IS_OPEN = (
    "Requests come by chance at a rate that is half of what a system did flat out in that round, at 32 connections;"
    " latency counts from when a request was due. A system that does not keep up has a line of requests that grows, and"
    " its latencies say how long the run was."
)


def report(results: Results) -> str:
    """Return the whole of it as Markdown."""
    closed = [cell for cell in results.cells if not cell.pace]
    parts = ["# The service beside its peers (`make bench`)", " ".join(results.about)]
    parts += ["## What was promised", targets_table(results.cells, results.titles), "## What was measured", HOW_TO_READ]
    for work in (name for name in KINDS if any(cell.work == name for cell in closed)):
        of_it = [cell for cell in closed if cell.work == work]
        parts += [f"### {KINDS[work].title}", figures(of_it, results.titles)]
    if paced := [cell for cell in results.cells if cell.pace]:
        parts += [f"### An open loop: {KINDS['me'].title}", HOW_IT_IS_OPEN, open_figures(paced, results.titles)]
    parts += ["### Memory", memory(results.peaks, results.titles)]
    if failed := faults(results.cells, results.titles):
        parts += ["### Errors", failed]
    if any(map(_client_is_limit, results.cells)):
        parts.append(
            f"\\* The client was busier than {BUSY:.0%} of a core: requests/s and latencies are its own limit, and"
            " processor time is the figure to read."
        )
    return "\n\n".join(parts) + "\n"


def figures(cells: Sequence[Cell], titles: dict[str, str]) -> str:
    """Return a table of one kind of work, flat out, by connections."""
    rows = []
    for place, system, group in _groups(cells, titles):
        ours = at(cells, place, WAITS if place.work == "wait" else OURS)
        busy = "\\*" if any(map(_client_is_limit, group)) else ""
        rows.append(
            (
                str(place.connections),
                titles[system],
                _median(group, lambda cell: cell.processor_us, ".0f"),
                spread(ratios(ours, group, times_the_processor)),
                _median(group, lambda cell: cell.per_second, ".0f") + busy,
                spread(ratios(ours, group, times_the_rate)),
                *_latencies(group),
                *_failures(group),
                _median(group, lambda cell: cell.database_us, ".0f"),
                _median(group, lambda cell: 100 * cell.client_share, ".0f"),
            )
        )
    return table(("connections", "system", *FIGURES), rows)


def open_figures(cells: Sequence[Cell], titles: dict[str, str]) -> str:
    """Return a table of the open loop, by pace."""
    rows = []
    for place, system, group in _groups(cells, titles):
        kept_up = all(cell.in_time > KEEPS_UP * (cell.requests + cell.errors + cell.timeouts) for cell in group)
        rows.append(
            (
                f"half of {titles[place.pace]}",
                titles[system],
                _median(group, lambda cell: cell.rate, ".0f"),
                _median(group, lambda cell: cell.per_second, ".0f"),
                "yes" if kept_up else "**no**",
                *_latencies(group),
                *_failures(group),
                _median(group, lambda cell: cell.processor_us, ".0f"),
            )
        )
    titles_of = ("pace", "system", "due/s", "answered/s", "keeps up", "p50 ms", "p99 ms", "p99.9 ms", "errors")
    return table((*titles_of, "time-outs", "processor µs"), rows)


def memory(peaks: Sequence[Peak], titles: dict[str, str]) -> str:
    """Return a table of the most memory of each system, its processes together, over all the work of a round."""
    ours = {peak.round: peak.kib for peak in peaks if peak.system == OURS}
    rows = []
    for system in (name for name in titles if any(peak.system == name for peak in peaks)):
        group = [peak for peak in peaks if peak.system == system]
        beside = [peak.kib / ours[peak.round] for peak in group if peak.round in ours]
        rows.append((titles[system], spread([peak.kib / 1024 for peak in group], ".0f"), spread(beside)))
    return table(("system", "peak MiB", "to ours"), rows)


def faults(cells: Sequence[Cell], titles: dict[str, str]) -> str:
    """Return a list of what the errors were, or nothing."""
    lines = []
    for place, system, group in _groups(cells, titles):
        if found := sum((Counter(cell.faults) for cell in group), Counter[str]()):
            where = f"{titles[system]}, {KINDS[place.work].title}, {place.connections} connections"
            where += f" at half of {titles[place.pace]}" if place.pace else ""
            lines.append(f"- {where}: {', '.join(f'{count} x {fault}' for fault, count in found.most_common())}")
    return "\n".join(lines)


def _groups(cells: Sequence[Cell], titles: dict[str, str]) -> Iterator[tuple[Place, str, list[Cell]]]:
    """Give the rounds' cells of each place and system."""
    for place in dict.fromkeys(Place(cell.work, cell.connections, cell.pace) for cell in cells):
        for system in titles:
            if group := at(cells, place, system):
                yield place, system, group


def _latencies(group: Sequence[Cell]) -> tuple[str, ...]:
    answered = [cell for cell in group if cell.requests]
    return tuple(median([cell.latency_ms(point) for cell in answered], ".2f") for point in (50, 99, 99.9))


def _failures(group: Sequence[Cell]) -> tuple[str, str]:
    return str(sum(cell.errors for cell in group)), str(sum(cell.timeouts for cell in group))


def _client_is_limit(cell: Cell) -> bool:
    return cell.client_share > BUSY


def _median(cells: Iterable[Cell], figure: Callable[[Cell], float], form: str) -> str:
    return median((figure(cell) for cell in cells if cell.requests), form)

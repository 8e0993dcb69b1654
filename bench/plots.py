"""Plots of what `bench.compare` has measured: `python -m bench.plots FOLDER [NAME]`, which reads NAME.json there.

It runs in the peers' environment, where matplotlib is, and imports nothing of ours. The same figures give the same
files.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WORKS = {"me": "me", "list": "list of 20", "post": "one post", "create": "create a post", "mixed": "mixed day"}
OURS = "postern"
CONNECTIONS, OF_DISTRIBUTION = 32, (32, 256)
Raw = dict[str, Any]
STYLE: dict[str, object] = {
    "font.size": 8,
    "figure.dpi": 100,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "legend.fontsize": 7,
}


class Measured:
    """The cells of a closed loop, by system, with a look of its own for each."""

    def __init__(self, raw: Raw) -> None:
        self.cells: list[Raw] = [cell for cell in raw["cells"] if not cell["pace"] and cell["requests"]]
        there = {cell["system"] for cell in self.cells if cell["work"] in WORKS}
        self.titles: dict[str, str] = {name: title for name, title in raw["titles"].items() if name in there}
        self.points: list[float] = raw["points"]

    def median(self, figure: Callable[[Raw], float], **at: object) -> float:
        """Return the median over the rounds, or NaN where nothing was measured."""
        found = [figure(cell) for cell in self._matching(at)]
        return statistics.median(found) if found else float("nan")

    def connections(self, work: str) -> list[int]:
        return sorted({cell["connections"] for cell in self._matching({"work": work})})

    def looks(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Give each system with its title and how it is drawn: ours in black and broader."""
        colours = pyplot.colormaps["tab10"].colors
        for place, (name, title) in enumerate(self.titles.items()):
            ours = name == OURS
            yield name, title, {"color": "black" if ours else colours[(place - 1) % 10], "lw": 2.2 if ours else 1.2}

    def _matching(self, at: dict[str, object]) -> Iterable[Raw]:
        return (cell for cell in self.cells if all(cell[name] == value for name, value in at.items()))


def processor_us(cell: Raw) -> float:
    return 1e6 * float(cell["server_seconds"]) / float(cell["requests"])


def per_second(cell: Raw) -> float:
    return float(cell["requests"]) / float(cell["seconds"])


def latency_ms(place: int, cell: Raw) -> float:
    return float(cell["latencies_ms"][place])


def processor(measured: Measured) -> Figure:
    """Draw the processor time of a request, by work and system."""
    figure, axes = pyplot.subplots(figsize=(9, 4))
    works = [work for work in WORKS if CONNECTIONS in measured.connections(work)]
    width = 0.85 / len(measured.titles)
    for place, (name, title, look) in enumerate(measured.looks()):
        heights = [measured.median(processor_us, work=work, connections=CONNECTIONS, system=name) for work in works]
        left = [at - 0.425 + width * (place + 0.5) for at in range(len(works))]
        axes.bar(left, heights, width, label=title, color=look["color"])
    axes.set_xticks(range(len(works)), [WORKS[work] for work in works])
    axes.set_ylabel("µs")
    axes.set_title(f"Processor time of the server for a request, {CONNECTIONS} connections (less is better)")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def rates(measured: Measured) -> Figure:
    """Draw requests a second against connections."""
    figure, axes = pyplot.subplots(figsize=(9, 4))
    counts = measured.connections("me")
    for name, title, look in measured.looks():
        heights = [measured.median(per_second, work="me", connections=count, system=name) for count in counts]
        axes.plot(counts, heights, marker="o", ms=3, label=title, **look)
    axes.set_xscale("log")
    axes.set_xticks(counts, [f"{count:,}" for count in counts], minor=False)
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("connections")
    axes.set_ylabel("requests a second")
    axes.set_title("GET /api/auth/me (more is better)")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def latencies(measured: Measured) -> Figure:
    """Draw how long so many of all requests took at most."""
    counts = [count for count in OF_DISTRIBUTION if count in measured.connections("me")]
    figure, panels = pyplot.subplots(1, max(1, len(counts)), figsize=(9, 4), squeeze=False)
    for axes, count in zip(panels[0], counts, strict=False):
        _distribution(axes, measured, count)
    figure.suptitle("GET /api/auth/me: so many of all requests took at most (less is better)")
    panels[0][-1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _distribution(axes: Axes, measured: Measured, connections: int) -> None:
    places = range(len(measured.points))
    for name, title, look in measured.looks():
        at = {"work": "me", "connections": connections, "system": name}
        heights = [measured.median(partial(latency_ms, place), **at) for place in places]
        axes.plot(places, heights, marker="o", ms=3, label=title, **look)
    axes.set_xticks(places, [f"{point:g} %" for point in measured.points])
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.set_ylabel("ms")
    axes.set_title(f"{connections} connections")


def main(folder: Path, name: str = "compare") -> None:
    mpl.use("agg")
    mpl.rcParams.update(STYLE)
    measured = Measured(json.loads((folder / f"{name}.json").read_text()))
    if "me" not in {cell["work"] for cell in measured.cells}:
        return  # two of the three are of it
    for draw in (processor, rates, latencies):
        figure = draw(measured)
        # Neither the time nor the version of matplotlib goes into the file.
        figure.savefig(folder / f"{name}-{draw.__name__}.png", bbox_inches="tight", metadata={"Software": None})
        pyplot.close(figure)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

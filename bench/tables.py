"""Figures as Markdown: tables, and medians with their spread."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

NOTHING = "–"  # noqa: RUF001 - a dash, as in the tables of docs/benchmarks.md


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def median(values: Iterable[float], form: str) -> str:
    known = list(values)
    return format(statistics.median(known), form) if known else NOTHING


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Return the median of all, with the least and the greatest."""
    if not values:
        return NOTHING
    middle, least, most = (format(value, form) for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least} to {most})"

"""Values of lists that the API and the repositories share. Nothing here knows SQL or HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

COUNTED_ROWS = 10_000
"""How far a list is counted exactly (contract: Lists)."""

PART_LIMIT = 100
"""Rows that a part of a list may have."""

Position = tuple[str, str]
"""Where a row stands in a list: what the list is sorted by, and the row's id, both as text."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a list, ``size`` rows at most: the page of a ``number`` from 1; where that is None, what comes
    ``after`` a position, or the beginning. ``sort`` names what the list is sorted by, with a minus for descending.
    """

    sort: str
    size: int = 20
    number: int | None = 1
    after: Position | None = None

    @property
    def offset(self) -> int:
        """Rows before the page."""
        return (self.number - 1) * self.size if self.number else 0


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """One part of a list: its items in the list's order, and the position to go on after; None at the end.

    ``total`` is how many the whole list has, `COUNTED_ROWS` at most; None where only a position was asked for.
    """

    part: Part
    items: tuple[T, ...]
    following: Position | None
    total: int | None = None
    total_capped: bool = False

    @property
    def pages(self) -> int:
        """How many pages `total` rows fill."""
        return -(-(self.total or 0) // self.part.size)

"""Values of lists that the API and the repositories share. Nothing here knows SQL or HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

COUNTED_ROWS = 10_000
"""How far a list is counted exactly (contract: Lists)."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: ``number`` from 1, ``size`` in rows."""

    number: int = 1
    size: int = 20

    @property
    def offset(self) -> int:
        """Rows before the page."""
        return (self.number - 1) * self.size


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """One page of a list: its items in the list's order, and how many the whole list has, `COUNTED_ROWS` at most."""

    page: Page
    items: tuple[T, ...]
    total: int
    total_capped: bool

    @property
    def pages(self) -> int:
        """How many pages `total` rows fill."""
        return -(-self.total // self.page.size)

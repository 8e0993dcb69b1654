"""The statements that an application runs, and what they read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from service.context import Context
from sqlalchemy import event

Parameters = tuple[Any, ...]


@contextmanager
def statements_of(context: Context) -> Iterator[list[tuple[str, Parameters]]]:
    """Collects the statements that the application runs, with their parameters."""
    seen: list[tuple[str, Parameters]] = []

    def see(_connection: object, _cursor: object, statement: str, parameters: Parameters, *_more: object) -> None:
        seen.append((statement, parameters))

    event.listen(context.engine.sync_engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(context.engine.sync_engine, "before_cursor_execute", see)


async def rows_read(database: asyncpg.Connection, statement: str, parameters: Parameters) -> float:
    """Run a statement again, and return how many rows of tables it looked at, those that it threw away included."""
    plan = await database.fetchval(f"EXPLAIN (ANALYZE, TIMING off, FORMAT json) {statement}", *parameters)
    return sum([_looked_at(node) for node in _nodes(json.loads(plan)[0]["Plan"])])


@dataclass(frozen=True)
class Plan:
    """The indexes that a statement uses, and the tables that it reads from the beginning on until it has enough, where
    nothing says how much that is.
    """

    indexes: set[str]
    read_whole: set[str]


async def plans(database: asyncpg.Connection, statement: str, parameters: Parameters) -> list[Plan]:
    """Return how a statement is planned for these parameters, and how for any."""
    found = []
    for kind in ("GENERIC_PLAN off", "GENERIC_PLAN on"):
        plan = json.loads(await database.fetchval(f"EXPLAIN ({kind}, FORMAT json) {statement}", *parameters))[0]["Plan"]
        indexes = {node["Index Name"] for node in _nodes(plan) if "Index Name" in node}
        found.append(Plan(indexes, set(_read_whole(plan))))
    return found


def _read_whole(node: dict[str, Any], *, limited: bool = False) -> Iterator[str]:
    """Not what is right below a LIMIT: counts are bounded by one."""
    if node["Node Type"] == "Seq Scan" and not limited:
        yield node["Relation Name"]
    for child in node.get("Plans", []):
        yield from _read_whole(child, limited=node["Node Type"] == "Limit")


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)


def _looked_at(node: dict[str, Any]) -> float:
    """Of a node that reads a table: an index's own matches are no rows yet."""
    if "Relation Name" not in node:
        return 0
    dropped = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    return float(node["Actual Loops"] * (node["Actual Rows"] + sum(node.get(name, 0) for name in dropped)))

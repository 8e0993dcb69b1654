"""Lists: one way to ask for a part of any collection, by page or by position, filtered and searched (ADR 9).

A part costs one statement, and a count one more, whatever their length. Rows are found in the list's order by an index
(keyset: a comparison of rows), so that a cursor costs the same at any depth; what is shown is joined afterwards.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Integer,
    Row,
    Select,
    Table,
    bindparam,
    exists,
    func,
    literal_column,
    select,
    true,
    tuple_,
    union_all,
)

from service.paging import COUNTED_ROWS, PART_LIMIT, Listing, Part, Position
from service.repositories.reads import Reads

SCANNED_ROWS = 2000
"""How many rows a search looks at at least, in the list's order, before it turns to its index."""

FOUND_ROWS = 20_000
"""How many rows that a search's index has found are sorted before it looks at more in the list's order."""

FARTHER = 50
"""How many times as many it looks at then, before it sorts all that its index finds."""
OFTEN = 10
"""What at least one row of so many matches is faster found and counted without the index."""

_ROWS, _SCANNED = bindparam("rows", type_=Integer), bindparam("scanned", type_=Integer)

Condition = Callable[[Any], ColumnElement[bool]]
"""Of the columns that it is given."""


@dataclass(frozen=True)
class Search:
    """A search for the parameter ``search``: a ``test`` of the ``columns`` of a row, and the same as an ``indexed``
    condition on the table; ``order`` is the sort whose index finds it in order, if one does. ``filters`` are those of
    the collection that the search's index knows, too, in its words.
    """

    columns: tuple[ColumnElement[Any], ...]
    test: Condition
    indexed: ColumnElement[bool]
    order: str = ""
    filters: Mapping[str, ColumnElement[bool]] = field(default_factory=dict)


@dataclass(frozen=True)
class Collection:
    """What can be listed of a table: what it is sorted and filtered by, and what each row shows.

    ``beside`` joins what is shown beside the table's own columns. Where ``parent`` is given, a condition on another
    table's row, the list is what belongs to that one, and there is none without it.
    """

    table: Table
    sorts: Mapping[str, ColumnElement[Any]]
    visible: tuple[ColumnElement[bool], ...]
    shown: tuple[ColumnElement[Any], ...]
    beside: Callable[[FromClause], FromClause] = lambda joined: joined
    filters: Mapping[str, ColumnElement[bool]] = field(default_factory=dict)
    searches: Mapping[str, Search] = field(default_factory=dict)
    parent: tuple[FromClause, ColumnElement[bool]] | None = None
    _built: dict[tuple[object, ...], Any] = field(default_factory=dict)

    async def part(
        self, reads: Reads, part: Part, search: tuple[str, str] | None = None, **filters: Any
    ) -> Listing[Row[Any]] | None:
        """Return a part of the list, and with a page the count of the whole; None when there is no such parent.

        ``search`` is the name of a search and the text to look for; ``filters`` are those of the collection, by name:
        one that is None does not filter. Pages of a search are empty behind `COUNTED_ROWS`, whatever there is.
        """
        values = {name: value for name, value in filters.items() if value is not None}
        how, names = search[0] if search else "", frozenset(values)
        if search:
            values["search"] = search[1]
        # PostgreSQL plans a statement anew until it takes its average cost for typical. So that deep pages don't decide
        # for first ones, there is a statement for each length of the offset.
        depth = len(str(part.offset)) if part.offset else 0
        statement = self._statement((part.sort, how, names, part.after is not None, depth))
        window = {"rows": part.size + 1, "offset": part.offset} | self._place(part.sort, part.after)
        if search:
            # Behind what is counted a search has no pages: to find the place of one takes all matches.
            window["rows"] *= part.offset < COUNTED_ROWS
            window["scanned"] = SCANNED_ROWS + OFTEN * min(part.offset + part.size, COUNTED_ROWS)
        found = await reads.rows(statement, values | window)
        if self.parent is not None and not found:
            return None
        rows = tuple(row for row in found if row.id is not None)  # a parent with nothing is one row of nulls
        following = _position(rows[part.size - 1]) if len(rows) > part.size else None
        if part.number is None:
            return Listing(part, rows[: part.size], following)
        ((total,),) = await reads.rows(self._count(how, names), values)
        capped = total > COUNTED_ROWS
        return Listing(part, rows[: part.size], following, total=min(total, COUNTED_ROWS), total_capped=capped)

    def _place(self, sort: str, after: Position | None) -> dict[str, Any]:
        if after is None:
            return {}
        key, row_id = after
        is_time = self.sorts[sort.removeprefix("-")].type.python_type is datetime.datetime
        kind = self.table.c.id.type.python_type
        return {"after_key": datetime.datetime.fromisoformat(key) if is_time else key, "after_id": kind(row_id)}

    # Statements are built once for each shape: to build one takes longer than to run it.

    def _statement(self, shape: tuple[str, str, frozenset[str], bool, int]) -> Select[Any]:
        if shape not in self._built:
            shown = self._shown(shape[0], self._picked(*shape[:4]))
            self._built[shape] = shown.prefix_with(f"/* offset of {shape[-1]} digits */")
        statement: Select[Any] = self._built[shape]
        return statement

    def _count(self, how: str, filters: frozenset[str]) -> Select[Any]:
        shape = (how, filters)
        if shape not in self._built:
            rows = select(self.table.c.id)
            listed = rows.where(*self._conditions(filters))
            if how:
                search = self.searches[how]
                counted = self._matching(listed, rows.where(*self._indexed(search, filters)), search)
            else:
                counted = _number_of(listed.limit(COUNTED_ROWS + 1))
            self._built[shape] = select(counted)
        statement: Select[Any] = self._built[shape]
        return statement

    def _conditions(self, filters: Set[str]) -> list[ColumnElement[bool]]:
        return [*self.visible, *(self.filters[name] for name in sorted(filters))]

    def _indexed(self, search: Search, filters: Set[str]) -> list[ColumnElement[bool]]:
        """Return what is true of the rows that a search finds, as its index knows it."""
        known = filters & search.filters.keys()
        return [search.indexed, *(search.filters[name] for name in sorted(known)), *self._conditions(filters - known)]

    def _picked(self, sort: str, how: str, filters: frozenset[str], after: bool) -> Select[Any]:
        """Return the ids of the part's rows, and what they are sorted by."""
        key, row_id = self.sorts[sort.removeprefix("-")], self.table.c.id
        rows = select(row_id.label("id"), key.label("key"))
        if after:
            place = tuple_(bindparam("after_key", type_=key.type), bindparam("after_id", type_=row_id.type))
            position = tuple_(key, row_id)
            rows = rows.where(position < place if sort.startswith("-") else position > place)
        listed = rows.where(*self._conditions(filters))
        if not how:
            return _cut(_in_order(listed, sort, key, row_id))
        search = self.searches[how]
        found = rows.where(*self._indexed(search, filters))
        if sort.removeprefix("-") == search.order:
            return _cut(_in_order(found, sort, key, row_id))
        in_order = _in_order(listed.add_columns(*search.columns), sort, key, row_id)
        return self._searched(in_order, found, sort, search)

    def _searched(self, in_order: Select[Any], found: Select[Any], sort: str, search: Search) -> Select[Any]:
        """Return those of the rows ``in_order`` that a search finds; ``found`` are the same, as its index finds them.

        What matches often is found among the first rows of the list's order; what matches seldom by the search's own
        index, whose rows have to be sorted, all of them; and what matches often, but not there, among more rows in
        order, or else by sorting it after all. Only the data know which it is, and statistics mislead about words that
        are nowhere: so each way is gone only when the one before was not enough.
        """
        near, is_near = _looked_through(in_order, _SCANNED, sort, search, "near")
        few = _collected(found.where(~is_near).limit(FOUND_ROWS + 1), "few")
        are_few = _number_of(select(few)) <= FOUND_ROWS
        farther = _SCANNED * literal_column(str(FARTHER), Integer)
        on, is_on = _looked_through(in_order.where(~is_near, ~are_few), farther, sort, search, "farther")
        many = _collected(found.where(~is_near, ~are_few, ~is_on), "many")
        ways = (near.where(is_near), _of(few, sort).where(are_few), on.where(is_on), _of(many, sort))
        both = union_all(*(select(way.subquery()) for way in ways)).subquery()
        return select(both.c.id, both.c.key)

    def _matching(self, listed: Select[Any], found: Select[Any], search: Search) -> ColumnElement[int]:
        """Return how many of the rows a search finds, `COUNTED_ROWS` and one at most.

        What matches often, as a sample says, is counted row by row; but only so far, since the newest rows need not be
        like the others. What that does not settle is counted by the index.
        """
        key, row_id = next(iter(self.sorts.values())), self.table.c.id
        in_order = _in_order(listed.add_columns(*search.columns), "-", key, row_id)
        sample = in_order.limit(SCANNED_ROWS).subquery()
        often = _number_of(select(sample.c.id).where(search.test(sample.c))) >= SCANNED_ROWS // OFTEN
        window = in_order.limit(COUNTED_ROWS * OFTEN).subquery()
        near = select(window.c.id).where(search.test(window.c), often).limit(COUNTED_ROWS + 1)
        counted = _collected(select(_number_of(near).label("rows")), "counted")
        settled = select(counted.c.rows).scalar_subquery()
        return func.greatest(settled, _number_of(found.where(settled <= COUNTED_ROWS).limit(COUNTED_ROWS + 1)))

    def _shown(self, sort: str, picked: Select[Any]) -> Select[Any]:
        """Return the rows themselves in the list's order, with what is shown beside them."""
        # Said in a literal, so that PostgreSQL knows how few they are, whatever it knows of the parameters.
        part = select(picked.subquery()).limit(literal_column(str(PART_LIMIT + 1), Integer)).subquery("part")
        shown = (part.c.id, part.c.key, *(column for column in self.shown if column.name != "id"))
        rows = self.beside(part.join(self.table, self.table.c.id == part.c.id))
        statement = select(*shown).select_from(rows)
        if self.parent is not None:
            table, condition = self.parent
            belonging = statement.subquery("belonging")
            statement = select(*belonging.c).select_from(table.outerjoin(belonging, true())).where(condition)
            return _in_order(statement, sort, belonging.c.key, belonging.c.id)
        return _in_order(statement, sort, part.c.key, part.c.id)


def _in_order(statement: Select[Any], sort: str, *columns: ColumnElement[Any]) -> Select[Any]:
    return statement.order_by(*(column.desc() if sort.startswith("-") else column for column in columns))


def _cut(statement: Select[Any]) -> Select[Any]:
    return statement.limit(_ROWS).offset(bindparam("offset", type_=Integer))


def _collected(rows: Select[Any], name: str) -> CTE:
    """Return the rows as they are found: once, and in no order, or the planner would look for one on the way."""
    return rows.cte(name).prefix_with("MATERIALIZED")


def _number_of(rows: Select[Any]) -> ColumnElement[int]:
    return select(func.count()).select_from(rows.subquery()).scalar_subquery()


def _of(rows: FromClause, sort: str) -> Select[Any]:
    return _cut(_in_order(select(rows.c.id, rows.c.key), sort, rows.c.key, rows.c.id))


def _looked_through(
    in_order: Select[Any], rows: ColumnElement[int], sort: str, search: Search, name: str
) -> tuple[Select[Any], ColumnElement[bool]]:
    """Return which of the first ``rows`` in order a search finds, and whether these are all of the part."""
    window = in_order.limit(rows).subquery()
    found = _of(window, sort).where(search.test(window.c)).cte(name)
    is_full = _number_of(select(found)) == _ROWS
    is_whole = ~exists(in_order.offset(rows).limit(1))
    settled = _collected(select((is_full | is_whole).label("settled")), f"{name}_is_enough")
    return select(found), select(settled.c.settled).scalar_subquery()


def _position(row: Row[Any]) -> Position:
    key = row.key.isoformat() if isinstance(row.key, datetime.datetime) else row.key
    return key, str(row.id)

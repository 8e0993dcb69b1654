"""How collections read: inside a transaction, alone, or together with whoever reads the same kind of thing just now."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, Protocol

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Executable,
    Integer,
    Row,
    bindparam,
    column,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.types import TypeEngine

from service import tracing
from service.errors import Unavailable
from service.repositories.batches import Batches
from service.repositories.refusals import (
    did_nothing,
    is_of_a_value,
    is_of_the_server,
    may_be_repeated,
    reason,
    refusal,
    without_values,
)
from service.repositories.uncut import uncut

Rows = Sequence[Any]
Values = Mapping[str, Any]
Run = Callable[[Executable, Values | None], Awaitable[Rows]]
Look = Callable[[AsyncConnection], Awaitable[None]]
"""Looks at a connection before it is used, and raises if it is not to be."""

log = logging.getLogger("postern")


class PointRead:
    """Statements that read one row for a key, and one row for each of many: ``key`` says of what columns they are, by
    name and type, and ``row`` returns the SELECT of a key's row, given these columns.

    PostgreSQL keeps its plan for one key. That for few it would make anew each time, as it takes ten for typical.
    """

    def __init__(self, key: Mapping[str, TypeEngine[Any]], row: Callable[[Any], Any]) -> None:
        self._names = tuple(key)
        self.of_one = row(SimpleNamespace(**{name: bindparam(name, type_=kind) for name, kind in key.items()}))
        arrays = [bindparam(name, type_=ARRAY(kind)) for name, kind in key.items()]
        columns: list[ColumnElement[Any]] = [column(name, kind) for name, kind in key.items()]
        keys = func.unnest(*arrays).table_valued(*columns, with_ordinality="place").render_derived("keys")
        found = row(keys.c).limit(literal_column("1")).lateral("found")
        place = keys.c.place.cast(Integer).label("place")
        self.of_many = select(place, *found.c).select_from(keys.join(found, true()))

    async def rows(self, run: Run, keys: Sequence[tuple[Any, ...]]) -> list[Row[Any] | None]:
        """Return the row of each key, in their order; None where there is none. ``run`` runs a statement."""
        if len(keys) == 1:
            return [next(iter(await run(self.of_one, dict(zip(self._names, keys[0], strict=True)))), None)]
        values = dict(zip(self._names, map(list, zip(*keys, strict=True)), strict=True))
        by_place = {row.place: row for row in await run(self.of_many, values)}
        return [by_place.get(place) for place in range(1, len(keys) + 1)]


class Asks(Protocol):
    """What asks a database."""

    async def rows(self, statement: Executable, values: Values | None = None) -> Rows:
        """Return the rows that a statement reads."""


class Reads(Asks, Protocol):
    """What a collection reads with."""

    async def row(self, read: PointRead, *key: Any) -> Row[Any] | None:
        """Return the row with this key."""


class InTransaction:
    """Reads as a part of a unit of work."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def rows(self, statement: Executable, values: Values | None = None) -> Rows:
        """Return the rows that a statement reads."""
        return (await self._session.execute(statement, values)).all()

    async def row(self, read: PointRead, *key: Any) -> Row[Any] | None:
        """Return the row with this key."""
        return (await read.rows(self.rows, [key]))[0]


class Alone:
    """Each statement on its own, outside transactions: one round trip.

    One that failed before it ran, on a connection that was found dead, say, or was undone in a deadlock, is repeated
    once.

    Raises, from each of its methods:
        ServiceError: for what the database refused: Unavailable, mostly.
    """

    def __init__(self, engine: AsyncEngine, *, quiet: bool = False) -> None:
        self._engine = engine
        self._quiet = quiet  # where whoever asks says it themselves

    async def rows(self, statement: Executable, values: Values | None = None, look: Look | None = None) -> Rows:
        """Return the rows that a statement gives."""
        try:
            try:
                return await self._execute(statement, values, look)
            except DBAPIError as error:
                if not self._may_be_repeated(error):
                    raise
            return await self._execute(statement, values, look)
        except Exception as error:
            raise_refusal(error, quiet=self._quiet)
            raise

    async def row(self, read: PointRead, *key: Any) -> Row[Any] | None:
        """Return the row with this key."""
        return (await read.rows(self.rows, [key]))[0]

    def _may_be_repeated(self, error: DBAPIError) -> bool:
        return may_be_repeated(error)

    async def _execute(self, statement: Executable, values: Values | None, look: Look | None) -> Rows:
        async with self._engine.connect() as connection:
            try:
                if look is not None:
                    await look(connection)
                return (await connection.execute(statement, values)).all()
            except DBAPIError as error:
                if not is_of_the_server(error):
                    await connection.invalidate()  # nothing else would end the step that it is in
                raise


class AloneOnce(Alone):
    """Statements that add something, each a transaction by itself, and its COMMIT with it: it is not cut, and where it
    may have run, not repeated.
    """

    async def _execute(self, statement: Executable, values: Values | None, look: Look | None) -> Rows:
        return await uncut(super()._execute(statement, values, look))

    def _may_be_repeated(self, error: DBAPIError) -> bool:
        return did_nothing(error)


class Together:
    """Statements that are shared by all who ask the same at the same time (`Batches`); ``alone`` asks for them.

    Those that hang take half of its ``connections`` at most, if they are of one kind.
    """

    def __init__(self, alone: Asks, *, connections: int, wait_seconds: float) -> None:
        self._alone = alone
        most = max(1, connections // 2)
        self._batches = Batches(is_of_one_key=is_of_a_value, most=most, wait_seconds=wait_seconds)

    async def rows(self, statement: Executable, values: Values | None = None) -> Rows:
        """Return the rows that a statement reads."""
        line = (statement, _hashable(values))
        with tracing.in_line((self, line)):
            rows: Rows = await self._batches.load(line, None, partial(self._ask_once, line, statement, values))
        return rows

    async def row(self, read: PointRead, *key: Any) -> Row[Any] | None:
        """Return the row with this key, by one statement for all keys that wait."""
        with tracing.in_line((self, read)):
            row: Row[Any] | None = await self._batches.load(read, key, partial(self._ask_for, read))
        return row

    async def close(self) -> None:
        """Cut off what nobody waits for."""
        await self._batches.close()

    async def _ask_once(
        self, line: Hashable, statement: Executable, values: Values | None, _keys: Sequence[None]
    ) -> Sequence[Rows]:
        with tracing.batch((self, line), 1):
            return [await self._alone.rows(statement, values)]

    async def _ask_for(self, read: PointRead, keys: Sequence[Any]) -> Sequence[Row[Any] | None]:
        with tracing.batch((self, read), len(keys)):
            return await read.rows(self._alone.rows, keys)


class Reader:
    """A collection that can be read."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads


class Writer(Reader):
    """A collection inside a transaction."""

    def __init__(self, session: AsyncSession) -> None:
        super().__init__(InTransaction(session))
        self._session = session


def _hashable(values: Values | None) -> Hashable:
    if not values:
        return None
    return tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in values.items())


def raise_refusal(error: BaseException, *, quiet: bool = False) -> None:
    """Raise what an error means to a client, if it is one of the database; say in the log when it is away."""
    known = refusal(error)
    if isinstance(known, Unavailable) and not quiet:
        log.warning("the database: %s", reason(error))
    if known is not None:
        raise known from error
    if isinstance(error, DBAPIError):
        raise without_values(error) from None

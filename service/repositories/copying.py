"""Rows in bulk: by COPY, which asyncpg has and SQLAlchemy has not; and what tables want when many have come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from itertools import islice

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from service.repositories.refusals import ends_connections

BATCH = 10_000
"""Rows of one COPY; at its end their foreign keys are checked."""

Row = tuple[object, ...]

_USERS = ("id", "username", "email", "password_hash", "is_active", "created_at", "updated_at")
_POSTS = ("id", "author_id", "title", "body", "created_at", "updated_at")
_COMMENTS = ("post_id", "author_id", "body", "created_at", "updated_at")


class Copying:
    """Copies rows into tables, inside a transaction. Each method yields how many more are there, batch by batch.

    Rows are asked for in a thread while the database stores those before, so that making them takes no time of its own.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def now(self) -> datetime:
        """Return the database's time at which the transaction began."""
        began: datetime = (await self._session.execute(text("SELECT now()"))).scalar_one()
        return began

    async def new_user_ids(self, count: int) -> list[int]:
        """Take rising ids for accounts, which are nobody else's from now on."""
        taken: list[int] = (await self._session.execute(_NEW_USER_IDS, {"count": count})).scalar_one()
        return taken

    def users(self, rows: Iterator[Row]) -> AsyncIterator[int]:
        """Copy accounts: id, username, email, password_hash, is_active, created_at, updated_at.

        Raises, through the unit of work:
            EmailTaken, UsernameTaken: somebody has it.
        """
        return self._copy("users", _USERS, rows)

    def posts(self, rows: Iterator[Row]) -> AsyncIterator[int]:
        """Copy posts: id, author_id, title, body, created_at, updated_at."""
        return self._copy("posts", _POSTS, rows)

    def comments(self, rows: Iterator[Row]) -> AsyncIterator[int]:
        """Copy comments: post_id, author_id, body, created_at, updated_at."""
        return self._copy("comments", _COMMENTS, rows)

    async def _copy(self, table: str, columns: tuple[str, ...], rows: Iterator[Row]) -> AsyncIterator[int]:
        await self._session.execute(text("SELECT"))  # begins the transaction, of which asyncpg alone knows nothing
        connection = await self._session.connection()
        driver: asyncpg.Connection = (await connection.get_raw_connection()).driver_connection
        batch = await _next(rows)
        while batch:
            following = asyncio.create_task(_next(rows))
            try:
                await driver.copy_records_to_table(table, columns=columns, records=batch)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                # As SQLAlchemy has it, so that the unit of work tells what it means, or hides the values.
                lost = driver.is_closed() or ends_connections(error)
                if lost:
                    await connection.invalidate(error)
                raise DBAPIError("COPY", None, error, connection_invalidated=lost) from error
            finally:
                copied, batch = len(batch), await following
            yield copied


async def _next(rows: Iterator[Row]) -> list[Row]:
    """Make the next rows, in a thread: the database gets those before meanwhile, and checks them."""
    return await asyncio.to_thread(list, islice(rows, BATCH))


class Upkeep:
    """What tables want when many rows have come, outside transactions."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def vacuum(self) -> bool:
        """Give the planner statistics, index-only scans their map, and full-text searches an index without a backlog.

        Returns whether it was done: only the owner of the tables may.
        """
        if not (await self._session.execute(_OURS)).scalar_one():
            return False
        await self._session.execute(text("VACUUM (ANALYZE) users, posts, comments"))
        return True


_NEW_USER_IDS = text(
    "SELECT array_agg(nextval(pg_get_serial_sequence('users', 'id'))) FROM generate_series(1, CAST(:count AS bigint))"
)
_OURS = text(
    "SELECT bool_and(pg_has_role(relowner, 'USAGE')) FROM pg_class"
    " WHERE oid = ANY('{users, posts, comments}'::regclass[])"
)

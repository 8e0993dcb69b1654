"""What is over: rows that nothing will ask for again, in every table that has an `expires_at`."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import CursorResult, Table, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from service.models import Base

EXPIRING = tuple(table for table in Base.metadata.sorted_tables if "expires_at" in table.c)
# Any number, as long as all who purge take the same.
PURGE_LOCK = 7_365_736_365_003


class Expired:
    """What can be done with it, inside a transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def try_lock(self) -> bool:
        """Keep others from purging until the transaction ends; tell whether nobody else does already."""
        found = await self._session.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": PURGE_LOCK})
        return bool(found.scalar_one())

    async def remove(self, *, limit: int) -> int:
        """Remove so many rows of each table at most, the oldest first; return how many were removed together.

        What somebody else holds at the moment stays for the next time.
        """
        return sum([await self._remove_from(table, limit) for table in EXPIRING])

    async def _remove_from(self, table: Table, limit: int) -> int:
        over = select(*table.primary_key).where(table.c.expires_at < func.now()).order_by(table.c.expires_at)
        batch = over.limit(limit).with_for_update(skip_locked=True).cte("batch")
        statement = delete(table).where(*(key == batch.c[key.name] for key in table.primary_key))
        return cast(CursorResult[Any], await self._session.execute(statement)).rowcount

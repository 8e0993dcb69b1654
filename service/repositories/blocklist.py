"""The blocklist: what is refused although its signature and its time are right."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from service.models import BlocklistEntry


class Blocklist:
    """What can be done to the collection, inside a transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, ids: Iterable[uuid.UUID], *, lifetime: datetime.timedelta) -> None:
        """Refuse the tokens of these sessions (`sid`), or of these generations of `jti`, for that long."""
        entries = [{"id": blocked_id, "expires_at": func.now() + lifetime} for blocked_id in ids]
        if entries:
            await self._session.execute(insert(BlocklistEntry).values(entries).on_conflict_do_nothing())

"""The blocklist: what is refused although its signature and its time are right."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from service.models import BlocklistEntry


class Blocklist:
    """What can be done to the collection, inside a transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, token_ids: Iterable[uuid.UUID], *, expires_at: datetime.datetime) -> None:
        """Block these ids (a `jti`, or a `sid` for all tokens of a session) until ``expires_at``."""
        entries = [{"id": token_id, "expires_at": expires_at} for token_id in token_ids]
        if entries:
            await self._session.execute(insert(BlocklistEntry).values(entries).on_conflict_do_nothing())

"""The blocklist: what is refused although its signature and its time are right."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable

from sqlalchemy import ARRAY, Interval, Uuid, cast, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from service.models import BlocklistEntry


class Blocklist:
    """What can be done to the collection, inside a transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, ids: Iterable[uuid.UUID], *, lifetime: datetime.timedelta) -> None:
        """Refuse the tokens of these sessions (`sid`), or of these generations of `jti`, for that long."""
        # One parameter for all of them: the driver takes 32,767 at most, and a user may have more sessions.
        entries = select(func.unnest(cast(list(ids), ARRAY(Uuid))), func.now() + cast(lifetime, Interval))
        added = insert(BlocklistEntry).from_select(["id", "expires_at"], entries)
        await self._session.execute(added.on_conflict_do_nothing())

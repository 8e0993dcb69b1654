"""Counts of attempts, shared by all processes: a window of one minute for each key, from the first attempt on."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from sqlalchemy import Interval, case, cast, func, literal
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from service.models import RateCount

WINDOW = datetime.timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Counted:
    """How many attempts the window has seen, this one included, and when it ends, in seconds from now."""

    count: int
    seconds_left: float


class Rates:
    """What can be done to the counts; each call is one statement, and needs no transaction around it."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def count(self, key: str) -> Counted:
        """Count one attempt; return where its window stands."""
        ends_at = func.now() + cast(literal(WINDOW), Interval)
        added = insert(RateCount).values(key=key, count=1, expires_at=ends_at)
        over = RateCount.expires_at <= func.now()
        statement = added.on_conflict_do_update(
            index_elements=[RateCount.key],
            set_={
                "count": case((over, 1), else_=RateCount.count + 1),
                "expires_at": case((over, added.excluded.expires_at), else_=RateCount.expires_at),
            },
        ).returning(RateCount.count, func.extract("epoch", RateCount.expires_at - func.now()))
        count, seconds = (await self._session.execute(statement)).one()
        return Counted(count, float(seconds))

"""Counts of attempts, shared by all processes: a window of one minute for each key, from the first attempt on."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Executable, Interval, Table, case, func, literal
from sqlalchemy.dialects.postgresql import insert

from service.models import RateCount
from service.repositories.reads import Alone

WINDOW = datetime.timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Counted:
    """How many attempts the window has seen, this one included, and when it ends, in seconds from now."""

    count: int
    seconds_left: float


class Rates:
    """What can be done to the counts; each call is one statement, and needs no transaction around it."""

    def __init__(self, alone: Alone) -> None:
        self._alone = alone

    async def count(self, key: str) -> Counted:
        """Count one attempt; return where its window stands."""
        ((count, seconds),) = await self._alone.rows(_COUNT, {"key": key})
        return Counted(count, float(seconds))


def _counting() -> Executable:
    table = cast(Table, RateCount.__table__)
    added = insert(table).values(count=1, expires_at=func.now() + literal(WINDOW, Interval))
    over = table.c.expires_at <= func.now()
    return added.on_conflict_do_update(
        index_elements=[table.c.key],
        set_={
            "count": case((over, 1), else_=table.c.count + 1),
            "expires_at": case((over, added.excluded.expires_at), else_=table.c.expires_at),
        },
    ).returning(table.c.count, func.extract("epoch", table.c.expires_at - func.now()))


_COUNT = _counting()
"""Built once, since to build it anew takes as long as to run it."""

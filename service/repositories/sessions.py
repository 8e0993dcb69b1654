"""The collection of sessions: one row a login, however often it is refreshed (ADR 0005)."""

from __future__ import annotations

import datetime
import uuid

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from service.models import Session


class Sessions:
    """What can be done to the collection, inside a transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def begin(
        self,
        *,
        user_id: int,
        session_id: uuid.UUID,
        refresh_jti: uuid.UUID,
        expires_at: datetime.datetime,
        ends_at: datetime.datetime,
        ip: str | None,
        user_agent: str | None,
    ) -> None:
        """Insert a session whose current refresh token is ``refresh_jti``."""
        values = {
            "id": session_id,
            "user_id": user_id,
            "refresh_jti": refresh_jti,
            "expires_at": expires_at,
            "ends_at": ends_at,
            "ip": ip,
            "user_agent": user_agent,
        }
        await self._session.execute(insert(Session).values(values))

    async def rotate(
        self,
        session_id: uuid.UUID,
        *,
        presented: uuid.UUID,
        successor: uuid.UUID,
        expires_at: datetime.datetime,
        ip: str | None,
        user_agent: str | None,
    ) -> datetime.datetime | None:
        """Exchange the presented refresh token for its successor: one conditional UPDATE, so at most one succeeds.

        Returns when the successor expires: ``expires_at``, or the end of the session when that comes first. None when
        the presented token is not the current one of a session that is alive.
        """
        statement = (
            update(Session)
            .where(Session.id == session_id, Session.refresh_jti == presented)
            .where(Session.ended_at.is_(None), Session.expires_at > func.now())
            .values(
                parent_jti=Session.refresh_jti,
                refresh_jti=successor,
                last_used_at=func.now(),
                expires_at=func.least(expires_at, Session.ends_at),
                ip=ip,
                user_agent=user_agent,
            )
            .returning(Session.expires_at)
        )
        return (await self._session.execute(statement)).scalar_one_or_none()

    async def lock(self, session_id: uuid.UUID) -> Session | None:
        """Return the session and keep others from changing it until the transaction ends."""
        statement = select(Session).where(Session.id == session_id).with_for_update()
        return (await self._session.execute(statement)).scalar_one_or_none()

    async def end(self, session_id: uuid.UUID) -> None:
        """Let the session's refresh token be worth nothing from now on."""
        await self._session.execute(
            update(Session).where(Session.id == session_id, Session.ended_at.is_(None)).values(ended_at=func.now())
        )

    async def end_all(self, user_id: int) -> tuple[uuid.UUID, ...]:
        """End each session of a user that has not ended; return their ids."""
        statement = (
            update(Session)
            .where(Session.user_id == user_id, Session.ended_at.is_(None))
            .values(ended_at=func.now())
            .returning(Session.id)
        )
        return tuple((await self._session.execute(statement)).scalars())

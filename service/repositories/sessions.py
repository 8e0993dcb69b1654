"""The collection of sessions: one row a login, however often it is refreshed (ADR 0005).

Every time is the database's, taken when the statement arrives: processes on several machines share one clock.
"""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, DateTime, SQLColumnExpression, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from service.models import Session

LISTED_SESSIONS = 1000

_NOW = func.statement_timestamp(type_=DateTime(timezone=True))
_SECOND = func.date_trunc("second", _NOW, type_=DateTime(timezone=True))  # tokens have whole seconds


@dataclass(frozen=True, slots=True)
class NewPair:
    """The pair of tokens that a session is to have from now on: their ids, the key they are signed with, how long
    each is good for.
    """

    access_jti: uuid.UUID
    refresh_jti: uuid.UUID
    kid: str
    access_lifetime: datetime.timedelta
    refresh_lifetime: datetime.timedelta

    def columns(self, ends_at: SQLColumnExpression[datetime.datetime]) -> dict[str, Any]:
        """Return what the pair sets in its session's row; no token outlives the session."""
        return {
            "access_jti": self.access_jti,
            "refresh_jti": self.refresh_jti,
            "kid": self.kid,
            "issued_at": _NOW,
            "access_expires_at": func.least(_SECOND + min(self.access_lifetime, self.refresh_lifetime), ends_at),
            "expires_at": func.least(_SECOND + self.refresh_lifetime, ends_at),
        }


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token that somebody presents: the session and the user it names, and its own id."""

    session_id: uuid.UUID
    user_id: int
    jti: uuid.UUID


class SessionReader:
    """What can be asked of the collection."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def alive_of(self, user_id: int) -> tuple[Session, ...]:
        """Return a user's sessions that can be refreshed, newest first, the newest thousand at most."""
        statement = select(Session).where(Session.user_id == user_id, *_alive())
        newest_first = statement.order_by(Session.created_at.desc(), Session.id).limit(LISTED_SESSIONS)
        return tuple((await self._session.execute(newest_first)).scalars())


class Sessions(SessionReader):
    """What can be done to the collection, inside a transaction."""

    async def begin(
        self, user_id: int, pair: NewPair, *, lifetime: datetime.timedelta, ip: str | None, user_agent: str | None
    ) -> Session:
        """Insert a session and return it as stored; it ends after ``lifetime``, however often it is refreshed."""
        ends_at = _SECOND + lifetime
        values = pair.columns(ends_at) | {"user_id": user_id, "ends_at": ends_at, "ip": ip, "user_agent": user_agent}
        return (await self._session.execute(insert(Session).values(values).returning(Session))).scalar_one()

    async def rotate(
        self, presented: Presented, pair: NewPair, *, ip: str | None, user_agent: str | None
    ) -> Session | None:
        """Exchange the presented refresh token for a pair: one conditional UPDATE, so at most one caller succeeds.

        Returns the session as stored; None when the presented token is not the current one of a session that is alive.
        """
        used = {"parent_jti": Session.refresh_jti, "last_used_at": _NOW, "ip": ip, "user_agent": user_agent}
        statement = update(Session).where(Session.refresh_jti == presented.jti, *_named_by(presented), *_alive())
        return await self._changed(statement.values(used | pair.columns(Session.ends_at)).returning(Session))

    async def renew(self, session_id: uuid.UUID, pair: NewPair) -> Session | None:
        """Give the session a pair that no token was exchanged for; None when it is not alive."""
        statement = update(Session).where(Session.id == session_id, *_alive())
        return await self._changed(
            statement.values({"parent_jti": None} | pair.columns(Session.ends_at)).returning(Session)
        )

    async def exchanged(self, presented: Presented, *, within: datetime.timedelta) -> Session | None:
        """Return the session if its current pair was issued in exchange for this token, not longer than that ago."""
        recently = Session.issued_at >= _NOW - within
        parent = Session.parent_jti == presented.jti
        statement = select(Session).where(parent, recently, *_named_by(presented), *_alive())
        return (await self._session.execute(statement)).scalar_one_or_none()

    async def lock(self, session_id: uuid.UUID) -> Session | None:
        """Return the session and keep others from changing it until the transaction ends."""
        statement = select(Session).where(Session.id == session_id).with_for_update()
        return await self._changed(statement)

    async def end(self, session_id: uuid.UUID, *, user_id: int) -> bool:
        """Let the session's refresh token be worth nothing from now on; tell whether it was alive, and this user's."""
        statement = update(Session).where(Session.id == session_id, Session.user_id == user_id, *_alive())
        return await self._changed(statement.values(ended_at=_NOW).returning(Session)) is not None

    async def end_all(self, user_id: int, *, but: uuid.UUID | None = None) -> tuple[uuid.UUID, ...]:
        """End each session of a user, but for one; return the ids of those that had been alive."""
        statement = update(Session).where(Session.user_id == user_id, *_alive())
        if but is not None:
            statement = statement.where(Session.id != but)
        return tuple((await self._session.execute(statement.values(ended_at=_NOW).returning(Session.id))).scalars())

    async def _changed(self, statement: Any) -> Session | None:
        """Run a statement for one row; over what was read before, since the session hands out one object for a row."""
        options = {"populate_existing": True}
        found: Session | None = (await self._session.execute(statement, execution_options=options)).scalar_one_or_none()
        return found


def _named_by(presented: Presented) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return Session.id == presented.session_id, Session.user_id == presented.user_id


def _alive() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return Session.ended_at.is_(None), Session.expires_at > _NOW

"""The collection of sessions: one row a login, however often it is refreshed (ADR 0005).

Every time is the database's, taken when the statement arrives: processes on several machines share one clock.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Executable,
    Interval,
    Row,
    Table,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from service.models import BlocklistEntry, Session
from service.repositories.reads import Reader, Writer

LISTED_SESSIONS = 1000

_TABLE = cast(Table, Session.__table__)
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

    def parameters(self) -> dict[str, Any]:
        """Return what `_times_of_a_pair` needs, and the columns that are as given."""
        return {
            "access_jti": self.access_jti,
            "refresh_jti": self.refresh_jti,
            "kid": self.kid,
            "access_lifetime": min(self.access_lifetime, self.refresh_lifetime),
            "refresh_lifetime": self.refresh_lifetime,
        }


@dataclass(frozen=True, slots=True)
class StoredPair:
    """The current pair of a session, as stored: what both tokens say, and the key they are signed with."""

    session_id: uuid.UUID
    user_id: int
    access_jti: uuid.UUID
    refresh_jti: uuid.UUID
    kid: str
    issued_at: datetime.datetime
    access_expires_at: datetime.datetime
    expires_at: datetime.datetime


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token that somebody presents: the session and the user it names, and its own id."""

    session_id: uuid.UUID
    user_id: int
    jti: uuid.UUID

    def parameters(self) -> dict[str, Any]:
        """Return what `_NAMED` needs, and the token's own id."""
        return {"named_session": self.session_id, "named_user": self.user_id, "presented_jti": self.jti}


class SessionReader(Reader):
    """What can be asked of the collection."""

    async def alive_of(self, user_id: int) -> Sequence[Row[Any]]:
        """Return a user's sessions that can be refreshed, newest first, the newest thousand at most."""
        return await self._reads.rows(_ALIVE_OF, {"user_id": user_id})


class Sessions(SessionReader, Writer):
    """What can be done to the collection, inside a transaction."""

    async def begin(
        self, user_id: int, pair: NewPair, *, lifetime: datetime.timedelta, ip: str | None, user_agent: str | None
    ) -> StoredPair:
        """Insert a session and return its pair; it ends after ``lifetime``, however often it is refreshed."""
        used = {"user_id": user_id, "lifetime": lifetime, "ip": ip, "user_agent": user_agent}
        return StoredPair(*(await self._session.execute(_BEGIN, pair.parameters() | used)).one())

    async def rotate(
        self, presented: Presented, pair: NewPair, *, ip: str | None, user_agent: str | None
    ) -> StoredPair | None:
        """Exchange the presented refresh token for a pair: one conditional UPDATE, so at most one caller succeeds.

        Returns the pair as stored; None when the presented token is not the current one of a session that is alive.
        """
        used = {"ip": ip, "user_agent": user_agent}
        return await self._pair(_ROTATE, presented.parameters() | pair.parameters() | used)

    async def renew(self, session_id: uuid.UUID, pair: NewPair) -> StoredPair | None:
        """Give the session a pair that no token was exchanged for; None when it is not alive."""
        return await self._pair(_RENEW, pair.parameters() | {"named_session": session_id})

    async def exchanged(self, presented: Presented, *, within: datetime.timedelta) -> StoredPair | None:
        """Return the current pair if it was issued in exchange for this token, not longer than that ago."""
        return await self._pair(_EXCHANGED, presented.parameters() | {"recent": within})

    async def lock(self, session_id: uuid.UUID) -> Session | None:
        """Return the session and keep others from changing it until the transaction ends."""
        statement = select(Session).where(Session.id == session_id).with_for_update()
        return await self._changed(statement)

    async def end(self, session_id: uuid.UUID, *, user_id: int) -> bool:
        """Let the session's refresh token be worth nothing from now on; tell whether it was alive, and this user's."""
        statement = update(Session).where(Session.id == session_id, Session.user_id == user_id, *_alive())
        return await self._changed(statement.values(ended_at=_NOW).returning(Session)) is not None

    async def end_all(self, *user_ids: int, blocked_for: datetime.timedelta, but: uuid.UUID | None = None) -> None:
        """End each session of these users, but for one, and refuse its access tokens, ``blocked_for`` so long."""
        theirs = update(Session).where(Session.user_id.in_(user_ids), *_alive())
        if but is not None:
            theirs = theirs.where(Session.id != but)
        ended = theirs.values(ended_at=_NOW).returning(Session.id).cte("ended")
        blocked = insert(BlocklistEntry).from_select(["id", "expires_at"], select(ended.c.id, _NOW + blocked_for))
        await self._session.execute(blocked.on_conflict_do_nothing())

    async def _changed(self, statement: Any) -> Session | None:
        """Run a statement for one row; over what was read before, since the session hands out one object for a row."""
        options = {"populate_existing": True}
        found: Session | None = (await self._session.execute(statement, execution_options=options)).scalar_one_or_none()
        return found

    async def _pair(self, statement: Executable, parameters: dict[str, Any]) -> StoredPair | None:
        row = (await self._session.execute(statement, parameters)).one_or_none()
        return None if row is None else StoredPair(*row)


def _alive(session: Any = Session) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return session.ended_at.is_(None), session.expires_at > _NOW


def _times_of_a_pair(ends_at: ColumnElement[datetime.datetime]) -> dict[str, Any]:
    """Return what a new pair sets beside the columns of `NewPair`; no token outlives the session."""
    access, refresh = bindparam("access_lifetime", type_=Interval), bindparam("refresh_lifetime", type_=Interval)
    return {
        "issued_at": _NOW,
        "access_expires_at": func.least(_SECOND + access, ends_at),
        "expires_at": func.least(_SECOND + refresh, ends_at),
    }


# What many requests run is built once: to build it anew takes as long as to run it.

_C = _TABLE.c
_PAIR = (_C.id, _C.user_id, _C.access_jti, _C.refresh_jti, _C.kid, _C.issued_at, _C.access_expires_at, _C.expires_at)
_NAMED = (_C.id == bindparam("named_session"), _C.user_id == bindparam("named_user"))
_ENDS_AT = _SECOND + bindparam("lifetime", type_=Interval)

_ALIVE_OF = (
    select(_TABLE)
    .where(_C.user_id == bindparam("user_id"), *_alive(_C))
    .order_by(_C.created_at.desc(), _C.id)
    .limit(LISTED_SESSIONS)
)
_BEGIN = insert(_TABLE).values({"ends_at": _ENDS_AT} | _times_of_a_pair(_ENDS_AT)).returning(*_PAIR)
_ROTATE = (
    update(_TABLE)
    .where(_C.refresh_jti == bindparam("presented_jti"), *_NAMED, *_alive(_C))
    .values({"parent_jti": _C.refresh_jti, "last_used_at": _NOW} | _times_of_a_pair(_C.ends_at))
    .returning(*_PAIR)
)
_RENEW = (
    update(_TABLE)
    .where(_C.id == bindparam("named_session"), *_alive(_C))
    .values({"parent_jti": None} | _times_of_a_pair(_C.ends_at))
    .returning(*_PAIR)
)
_EXCHANGED = select(*_PAIR).where(
    _C.parent_jti == bindparam("presented_jti"),
    _C.issued_at >= _NOW - bindparam("recent", type_=Interval),
    *_NAMED,
    *_alive(_C),
)

"""The collection of accounts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Executable,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from service.models import BlocklistEntry, User
from service.paging import COUNTED_ROWS, Listing, Page

# Any number, as long as all who may remove an admin take the same.
ADMINS_LOCK = 7_365_736_365_002


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """The user of a token as the database has it now, and whether that token is on the blocklist."""

    user: User
    revoked: bool


class UserReader:
    """What can be asked of the collection."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, user_id: int) -> User | None:
        """Return the account with this id."""
        return (await self._session.execute(_WITH_ID, {"user_id": user_id})).scalar_one_or_none()

    async def by_email(self, email: str) -> tuple[str, User | None]:
        """Return the email as the database compares it, and the account that has it."""
        return await self._by_key(_WITH_EMAIL, email)

    async def by_username(self, username: str) -> tuple[str, User | None]:
        """Return the name as the database compares it, and the account that has it."""
        return await self._by_key(_WITH_USERNAME, username)

    async def _by_key(self, statement: Executable, value: str) -> tuple[str, User | None]:
        folded, user = (await self._session.execute(statement, {"value": value})).one()
        return folded, user

    async def holder_of(self, user_id: int, *blocked_ids: uuid.UUID) -> TokenHolder | None:
        """Return the account, and whether one of the ids is on the blocklist, in one statement."""
        parameters = {"user_id": user_id, "blocked_ids": list(blocked_ids)}
        row = (await self._session.execute(_HOLDER, parameters)).one_or_none()
        return TokenHolder(row[0], revoked=row[1]) if row else None

    async def page(self, page: Page) -> Listing[User]:
        """Return one page, newest first, and the count of all as far as it goes."""
        newest_first = select(User).order_by(User.created_at.desc(), User.id.desc())
        rows = await self._session.execute(newest_first.limit(page.size).offset(page.offset))
        users = tuple(rows.scalars())
        counted = select(func.count()).select_from(select(User.id).limit(COUNTED_ROWS + 1).subquery())
        total: int = (await self._session.execute(counted)).scalar_one()
        return Listing(page, users, min(total, COUNTED_ROWS), total_capped=total > COUNTED_ROWS)

    async def has_admin(self) -> bool:
        """Tell whether there is an active admin."""
        return bool((await self._session.execute(select(exists().where(*_active_admin())))).scalar_one())


class Users(UserReader):
    """What can be done to the collection, inside a transaction."""

    async def add(self, *, username: str, email: str, password_hash: str, role: str = "user") -> User:
        """Insert an account and return it as stored.

        Raises, through the unit of work:
            EmailTaken, UsernameTaken: the database says so; nobody asked before.
        """
        values = {"username": username, "email": email, "password_hash": password_hash, "role": role}
        return (await self._session.execute(insert(User).values(values).returning(User))).scalar_one()

    async def lock(self, user_id: int) -> User | None:
        """Return the account and keep others from changing it until the transaction ends."""
        return (await self._session.execute(_LOCKED, {"user_id": user_id})).scalar_one_or_none()

    async def change(self, user_id: int, changes: Mapping[str, object]) -> User:
        """Set these columns and return the account as stored."""
        statement = update(User).where(User.id == user_id).values(**changes).returning(User)
        # Over the object that `lock` returned: the session hands out one object for a row.
        refreshed = await self._session.execute(statement, execution_options={"populate_existing": True})
        return refreshed.scalar_one()

    async def renew_hash(self, user_id: int, password_hash: str) -> None:
        """Store another hash of the same password; of what the account shows, nothing has changed."""
        values = {"password_hash": password_hash, "updated_at": User.updated_at}
        await self._session.execute(update(User).where(User.id == user_id).values(**values))

    async def remove(self, user_id: int) -> None:
        """Delete the account; what hangs on it goes with it."""
        await self._session.execute(delete(User).where(User.id == user_id))

    async def only_active_admin(self, user_id: int) -> bool:
        """Tell whether there is no other active admin; whoever asks is alone until the transaction ends.

        Without the lock, two admins who demote each other at once would both still see the other.
        """
        await self._session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADMINS_LOCK})
        others = exists().where(*_active_admin(), User.id != user_id)
        return not (await self._session.execute(select(others))).scalar_one()


def _active_admin() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return User.role == "admin", User.is_active.is_(True)


def _fold(value: ColumnElement[Any]) -> ColumnElement[str]:
    """The key under which the database keeps a name or an email; only the database computes it."""
    return func.postern_fold(cast(value, Text))


def _found_by(column: InstrumentedAttribute[str]) -> Executable:
    key = select(_fold(bindparam("value")).label("key")).subquery()
    return select(key.c.key, User).select_from(key).outerjoin(User, column == key.c.key)


# What every login and every request with a token runs is built once: to build it anew takes as long as to run it.

_WITH_ID = select(User).where(User.id == bindparam("user_id"))
_LOCKED = _WITH_ID.with_for_update(key_share=True)
_WITH_EMAIL = _found_by(User.email_key)
_WITH_USERNAME = _found_by(User.username_key)
_HOLDER = select(User, exists().where(BlocklistEntry.id == any_(bindparam("blocked_ids", type_=ARRAY(Uuid))))).where(
    User.id == bindparam("user_id")
)

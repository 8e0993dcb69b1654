"""The collection of accounts."""

from __future__ import annotations

import datetime
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    Executable,
    Integer,
    Row,
    Select,
    Table,
    Text,
    Uuid,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    text,
    union,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import InstrumentedAttribute

from service.models import BlocklistEntry, Comment, KeptAnswer, Post, Session, User
from service.models.users import USERNAME_ORDER
from service.paging import Listing, Part
from service.repositories.hidden import locked_in_order
from service.repositories.lists import Collection, Search
from service.repositories.reads import PointRead, Reader, Writer

# Any number, as long as all who may remove an admin take the same.
ADMINS_LOCK = 7_365_736_365_002
TRIGRAM = 3
LOOKED_UP_CHARACTERS = 18
"""So many of a part are looked up in the index, which goes through all rows that were written lately for each trigram:
that took seconds for the 1,438 of eighty characters that are eighteen each when compared.
"""
LAST_CHARACTER = 0x10FFFF
HANGING_ROWS = 500
"""Accounts that are deleted together may have so many posts, comments, sessions and kept answers each, divided by their
number; one that has more is hidden at once, and they are removed in batches (ADR 9).
"""


class Account(Protocol):
    """A row of the collection, or the entity, as a transaction has it that changes it."""

    id: int
    username: str
    email: str
    password_hash: str
    role: str
    is_active: bool
    created_at: datetime.datetime
    updated_at: datetime.datetime


class TokenHolder(Account, Protocol):
    """An account as somebody's token names it: it may be ``revoked``."""

    revoked: bool


class UserReader(Reader):
    """What can be asked of the collection."""

    async def get(self, user_id: int) -> Account | None:
        """Return the account with this id."""
        return cast(Account | None, await self._reads.row(_BY_ID, user_id))

    async def by_email(self, email: str) -> tuple[str, Account | None]:
        """Return the email as the database compares it, and the account that has it."""
        return await self._by_key(_WITH_EMAIL, email)

    async def by_username(self, username: str) -> tuple[str, Account | None]:
        """Return the name as the database compares it, and the account that has it."""
        return await self._by_key(_WITH_USERNAME, username)

    async def _by_key(self, statement: Executable, value: str) -> tuple[str, Account | None]:
        (found,) = await self._reads.rows(statement, {"value": value})
        return found.key, None if found.id is None else found

    async def holder_of(self, user_id: int, session_id: uuid.UUID, generation: uuid.UUID) -> TokenHolder | None:
        """Return the account of a token, and whether its session, or its generation in it, is on the blocklist, as
        ``revoked``: in one statement.
        """
        return cast(TokenHolder | None, await self._reads.row(_HOLDER, user_id, session_id, generation))

    async def part(self, part: Part, *, search: str | None = None, is_active: bool | None = None) -> Listing[Row[Any]]:
        """Return a part of the list; ``search`` is a part of the username, its beginning if that is under 3 characters
        as it is compared.

        The rows have the columns of an account, less its hash.
        """
        how = ("beginning" if len(_folded(search)) < TRIGRAM else "part", search) if search else None
        listing = await _LIST.part(self._reads, part, how, is_active=is_active)
        assert listing is not None  # noqa: S101 - there is no parent
        return listing

    async def has_admin(self) -> bool:
        """Tell whether there is an active admin."""
        (row,) = await self._reads.rows(_HAS_ADMIN)
        return bool(row[0])


class Users(UserReader, Writer):
    """What can be done to the collection, inside a transaction."""

    async def add(self, *, username: str, email: str, password_hash: str, role: str = "user") -> User:
        """Insert an account and return it as stored.

        Raises, through the unit of work:
            EmailTaken, UsernameTaken: the database says so; nobody asked before.
        """
        values = {"username": username, "email": email, "password_hash": password_hash, "role": role}
        return (await self._session.execute(insert(User).values(values).returning(User))).scalar_one()

    async def lock(self, user_id: int, *, to_remove: bool = False) -> User | None:
        """Return the account and keep others from changing it until the transaction ends.

        Who is going to remove it keeps others from writing anything of its user's, too: what they wrote would have to
        be waited for later, while they wait for what is removed with it.
        """
        statement = _LOCKED_WHOLE if to_remove else _LOCKED
        return (await self._session.execute(statement, {"user_id": user_id})).scalar_one_or_none()

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

    async def remove(self, *user_ids: int) -> bool:
        """Delete these accounts with what hangs on them; where that is much, they are hidden, and `Hidden` does it.

        Returns whether there is something for it to do.
        """
        hanging = {"user_ids": user_ids, "limit": HANGING_ROWS // max(1, len(user_ids))}
        much = tuple((await self._session.execute(_HANGS_MUCH, hanging)).scalars())
        if much:
            await self._session.execute(_HIDE, {"user_ids": much})
        few = tuple(set(user_ids) - set(much))
        for rows in (_THEIR_POSTS_LOCKED, _HANGING_COMMENTS_LOCKED):
            await self._session.execute(rows, {"user_ids": few})
        await self._session.execute(delete(User).where(User.id.in_(few)))
        return bool(much)

    async def lock_some(self, *, is_active: bool, but: int, above: int, limit: int, to_remove: bool) -> tuple[int, ...]:
        """Return the next ``limit`` ids of accounts that are active, or not, and keep others from changing them."""
        some = select(User.id).where(User.is_active.is_(is_active), User.id != but, User.id > above, ~User.is_removed)
        # Said in a literal, so that PostgreSQL follows the index in each plan, and reads no account twice.
        next_ones = some.order_by(User.id).limit(literal_column(str(limit), Integer))
        return tuple((await self._session.execute(next_ones.with_for_update(key_share=not to_remove))).scalars())

    async def set_active(self, user_ids: Sequence[int], *, is_active: bool) -> None:
        """Enable or disable these accounts."""
        await self._session.execute(update(User).where(User.id.in_(user_ids)).values(is_active=is_active))

    async def only_active_admin(self, user_id: int) -> bool:
        """Tell whether there is no other active admin; whoever asks is alone until the transaction ends."""
        await self.lock_admins()
        others = exists().where(*_active_admin(), User.id != user_id)
        return not (await self._session.execute(select(others))).scalar_one()

    async def lock_admins(self) -> None:
        """Wait for who else may remove an admin; to be called behind the locks of rows, always.

        Without it, two admins who demote each other at once would both still see the other.
        """
        await self._session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADMINS_LOCK})


def _folded(text: str) -> str:
    """Return a text as the database compares it, if all letters' cases are Python's: good enough for its length."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())


def _active_admin() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return User.role == "admin", User.is_active.is_(True)


def _fold(value: ColumnElement[Any]) -> ColumnElement[str]:
    """The key under which the database keeps a name or an email; only the database computes it."""
    return func.postern_fold(sql_cast(value, Text))


def _found_by(column: InstrumentedAttribute[str]) -> Executable:
    key = select(_fold(bindparam("value")).label("key")).subquery()
    return select(key.c.key, *_ACCOUNT).select_from(key).outerjoin(User, column == key.c.key)


def _is_blocked(*ids: ColumnElement[uuid.UUID]) -> ColumnElement[bool]:
    # Of the ids of this row, said aloud: by itself it would look for those of all keys at once.
    return exists().where(BlocklistEntry.id.in_(ids)).correlate_except(BlocklistEntry)


def _more_than_a_few(hanging: Select[Any]) -> ColumnElement[bool]:
    return exists(hanging.offset(bindparam("limit", type_=Integer)).limit(1))


# What every login and every request with a token runs is built once: to build it anew takes as long as to run it.

_ACCOUNT = (
    User.id,
    User.username,
    User.email,
    User.password_hash,
    User.role,
    User.is_active,
    User.created_at,
    User.updated_at,
)
_BY_ID = PointRead(
    {"user_id": BigInteger()}, lambda key: select(*_ACCOUNT).where(User.id == key.user_id, ~User.is_removed)
)
_HOLDER = PointRead(
    {"user_id": BigInteger(), "session_id": Uuid(), "generation": Uuid()},
    lambda key: select(*_ACCOUNT, _is_blocked(key.session_id, key.generation).label("revoked")).where(
        User.id == key.user_id
    ),
)
_WITH_ID = select(User).where(User.id == bindparam("user_id"), ~User.is_removed)
_LOCKED, _LOCKED_WHOLE = _WITH_ID.with_for_update(key_share=True), _WITH_ID.with_for_update()
_WITH_EMAIL = _found_by(User.email_key)
_WITH_USERNAME = _found_by(User.username_key)
_HAS_ADMIN = select(exists().where(*_active_admin()))

_THEIRS: BindParameter[Any] = bindparam("user_ids", expanding=True)
_HANGS_MUCH = select(User.id).where(
    User.id.in_(_THEIRS),
    _more_than_a_few(select(Post.id).where(Post.author_id == User.id))
    | _more_than_a_few(select(Comment.id).where(Comment.author_id == User.id))
    | _more_than_a_few(select(Comment.id).join(Post, Post.id == Comment.post_id).where(Post.author_id == User.id))
    | _more_than_a_few(select(Session.id).where(Session.user_id == User.id))
    | _more_than_a_few(select(KeptAnswer.scope).where(KeptAnswer.user_id == User.id)),
)
# Two accounts that have commented on each other's posts may be deleted at once: each takes the rows that both would
# remove in one order, where the cascades would take them crosswise.
_THEIR_POSTS = select(Post.id).where(Post.author_id.in_(_THEIRS))
_THEIR_POSTS_LOCKED = locked_in_order(Post.id, _THEIR_POSTS)
_HANGING_COMMENTS_LOCKED = locked_in_order(
    Comment.id,
    union(
        select(Comment.id).where(Comment.author_id.in_(_THEIRS)),
        select(Comment.id).where(Comment.post_id.in_(_THEIR_POSTS)),
    ),
)
# The names are free at once; no other account can have these, since neither is one.
_HIDE = (
    update(User)
    .where(User.id.in_(_THEIRS))
    .values(
        is_removed=True,
        is_active=False,
        username=func.concat("removed:", User.id),
        email=func.concat("removed:", User.id),
    )
)

_C = cast(Table, User.__table__).c
_BY_NAME = literal_column(USERNAME_ORDER, Text)


def _searches() -> dict[str, Search]:
    """Two ways to look for a name; neither has patterns, so that every character is a plain one."""
    wanted = select(_fold(bindparam("search"))).scalar_subquery()
    has_part = func.strpos(_C.username_key, wanted) > 0
    beginning = func.left(wanted, literal_column(str(LOOKED_UP_CHARACTERS), Integer))
    return {
        "beginning": Search(
            (_C.username_key,),
            lambda columns: func.starts_with(columns.username_key, wanted),
            _BY_NAME.between(wanted, wanted.op("||")(func.chr(LAST_CHARACTER))),
            order="username",
        ),
        "part": Search(
            (_C.username_key,),
            lambda columns: func.strpos(columns.username_key, wanted) > 0,
            func.postern_trigrams(_C.username_key).op("@>")(func.postern_trigrams(beginning)) & has_part,
        ),
    }


_LIST = Collection(
    table=cast(Table, User.__table__),
    sorts={"created_at": _C.created_at, "username": _BY_NAME},
    visible=(~_C.is_removed,),
    shown=(_C.id, _C.username, _C.email, _C.role, _C.is_active, _C.created_at, _C.updated_at),
    filters={"is_active": _C.is_active == bindparam("is_active", type_=Boolean)},
    searches=_searches(),
)

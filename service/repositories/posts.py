"""The collection of posts, each with its author's name."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
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
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import TSQUERY

from service.models import Comment, Post
from service.paging import Listing, Part
from service.repositories.authored import USERS, AuthoredWriter, stored, with_author
from service.repositories.hidden import HIDDEN_USERS, locked_in_order
from service.repositories.lists import Collection, Search
from service.repositories.reads import PointRead, Reader

HANGING_ROWS = 1000
"""A post with more comments than these is hidden at once, and they are removed in batches (ADR 9)."""

_TABLE = cast(Table, Post.__table__)
_C, _U = _TABLE.c, USERS.c


class PostReader(Reader):
    """What can be asked of the collection. Rows have the columns of a post, and ``author``, the username."""

    async def get(self, post_id: uuid.UUID) -> Row[Any] | None:
        """Return the post with this id."""
        return await self._reads.row(_BY_ID, post_id)

    async def part(self, part: Part, *, search: str | None = None, author_id: int | None = None) -> Listing[Row[Any]]:
        """Return a part of the list; ``search`` is full text in English, over title and body."""
        listing = await _LIST.part(self._reads, part, _text(search), author_id=author_id)
        return cast(Listing[Row[Any]], listing)

    async def part_by(self, author_id: int, part: Part, *, search: str | None = None) -> Listing[Row[Any]] | None:
        """Return a part of an author's posts; None when there is no such account."""
        return await _LIST_OF_AUTHOR.part(self._reads, part, _text(search), author_id=author_id)


class NewPosts(Reader):
    """What one statement adds to the collection."""

    async def add(self, post_id: uuid.UUID, *, author_id: int, title: str, body: str) -> Row[Any] | None:
        """Insert a post and return it as stored; None when its author is no active account."""
        values = {"post_id": post_id, "author": author_id, "post_title": title, "post_body": body}
        return next(iter(await self._reads.rows(_ADD, values)), None)


class Posts(PostReader, NewPosts, AuthoredWriter):
    """What can be done to the collection, inside a transaction."""

    async def lock(self, post_id: uuid.UUID, *, to_remove: bool = False) -> Row[Any] | None:
        """Return the post and keep others from changing it until the transaction ends, or from commenting on it."""
        return await self._one(_LOCKED_WHOLE if to_remove else _LOCKED, post_id=post_id)

    async def change(self, changes: Mapping[str, object], post_id: uuid.UUID) -> Row[Any]:
        """Set these columns and return the post as stored."""
        changed = update(_TABLE).where(_C.id == post_id).values(**changes)
        return cast(Row[Any], await self._one(stored(changed, _SHOWN)))

    async def remove(self, post_id: uuid.UUID) -> bool:
        """Delete the post and its comments; where those are many, it is hidden, and `Hidden` does it.

        Returns whether there is something for it to do.
        """
        much: bool = (await self._session.execute(_HAS_MANY_COMMENTS, {"post_id": post_id})).scalar_one()
        if much:
            hidden = update(_TABLE).where(_C.id == post_id).values(is_removed=True, updated_at=_C.updated_at)
            await self._session.execute(hidden)
        else:
            await self._session.execute(_COMMENTS_LOCKED, {"post_id": post_id})
            await self._session.execute(delete(_TABLE).where(_C.id == post_id))
        return much


def _text(search: str | None) -> tuple[str, str] | None:
    return ("text", search) if search else None


# Statements that every request runs are built once: to build one anew takes as long as to run it.

_SHOWN = (_C.id, _C.title, _C.body, _U.username.label("author"), _C.author_id, _C.created_at, _C.updated_at)


def _with_id(post_id: Any) -> Select[Any]:
    shown = select(*_SHOWN).select_from(with_author(_TABLE, _C.author_id))
    return shown.where(_C.id == post_id, ~_C.is_removed, ~_U.is_removed)


_BY_ID = PointRead({"post_id": Uuid()}, lambda key: _with_id(key.post_id))
_WITH_ID = _with_id(bindparam("post_id"))
_LOCKED = _WITH_ID.with_for_update(of=_TABLE, key_share=True)
_LOCKED_WHOLE = _WITH_ID.with_for_update(of=_TABLE)
_ADD = stored(
    insert(_TABLE).from_select(
        ["id", "author_id", "title", "body"],
        select(
            bindparam("post_id", type_=Uuid),
            _U.id,
            bindparam("post_title", type_=Text),
            bindparam("post_body", type_=Text),
        ).where(_U.id == bindparam("author"), _U.is_active),
    ),
    _SHOWN,
)
_HAS_MANY_COMMENTS = select(
    exists(select(literal_column("1")).where(Comment.post_id == bindparam("post_id")).offset(HANGING_ROWS).limit(1))
)
_COMMENTS_LOCKED = locked_in_order(Comment.id, select(Comment.id).where(Comment.post_id == bindparam("post_id")))

_WORDS = func.postern_words(bindparam("search", type_=Text))
_SEARCHED = select(func.plainto_tsquery("english", _WORDS)).scalar_subquery()
_AUTHOR_ID = bindparam("author_id", type_=BigInteger)
_OF_AUTHOR = _C.author_id == _AUTHOR_ID
# What `Post.search` has beside the words: a lexeme with a space, which no text yields.
_AUTHOR = select(sql_cast(func.concat("'author ", _AUTHOR_ID, "'"), TSQUERY)).scalar_subquery()
_SEARCH = Search(
    (_C.search,),
    lambda columns: columns.search.op("@@")(_SEARCHED),
    _C.search.op("@@")(_SEARCHED),
    filters={"author_id": _C.search.op("@@")(_AUTHOR)},
)


def _list(parent: Any = None) -> Collection:
    return Collection(
        table=_TABLE,
        sorts={"created_at": _C.created_at},
        visible=(~_C.is_removed, _C.author_id.not_in(HIDDEN_USERS)),
        shown=_SHOWN,
        beside=lambda rows: with_author(rows, _C.author_id),
        filters={"author_id": _OF_AUTHOR},
        searches={"text": _SEARCH},
        parent=parent,
    )


_LIST = _list()
_LIST_OF_AUTHOR = _list(parent=(USERS, (_U.id == _AUTHOR_ID) & ~_U.is_removed))

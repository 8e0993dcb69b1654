"""The collection of comments, each with its author's name. Each belongs to a post, and is found only through it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import BigInteger, Row, Select, Table, Text, Uuid, bindparam, delete, insert, select, update

from service.models import Comment, Post
from service.paging import Listing, Part
from service.repositories.authored import USERS, AuthoredWriter, stored, with_author
from service.repositories.hidden import HIDDEN_USERS
from service.repositories.lists import Collection
from service.repositories.reads import PointRead, Reader

_TABLE, _POSTS = cast(Table, Comment.__table__), cast(Table, Post.__table__)
_C, _P, _U = _TABLE.c, _POSTS.c, USERS.c


class CommentReader(Reader):
    """What can be asked of the collection. Rows have the columns of a comment, and ``author``, the username."""

    async def get(self, post_id: uuid.UUID, comment_id: int) -> Row[Any] | None:
        """Return the comment with this id, if it is on this post."""
        return await self._reads.row(_BY_ID, post_id, comment_id)

    async def part(self, post_id: uuid.UUID, part: Part) -> Listing[Row[Any]] | None:
        """Return a part of a post's comments; None when there is no such post."""
        return await _LIST.part(self._reads, part, post_id=post_id)


class NewComments(Reader):
    """What one statement adds to the collection."""

    async def add(self, post_id: uuid.UUID, *, author_id: int, body: str) -> Row[Any] | None:
        """Insert a comment and return it as stored; None when there is no such post, or no such active account."""
        values = {"post_id": post_id, "author": author_id, "comment_body": body}
        return next(iter(await self._reads.rows(_ADD, values)), None)


class Comments(CommentReader, NewComments, AuthoredWriter):
    """What can be done to the collection, inside a transaction."""

    async def lock(self, post_id: uuid.UUID, comment_id: int, *, to_remove: bool = False) -> Row[Any] | None:
        """Return the comment and keep others from changing it until the transaction ends."""
        return await self._one(_LOCKED_WHOLE if to_remove else _LOCKED, post_id=post_id, comment_id=comment_id)

    async def change(self, changes: Mapping[str, object], post_id: uuid.UUID, comment_id: int) -> Row[Any]:
        """Set these columns and return the comment as stored."""
        changed = update(_TABLE).where(_C.id == comment_id, _C.post_id == post_id).values(**changes)
        return cast(Row[Any], await self._one(stored(changed, _SHOWN)))

    async def remove(self, post_id: uuid.UUID, comment_id: int) -> bool:
        """Delete the comment; nothing hangs on it."""
        await self._session.execute(delete(_TABLE).where(_C.id == comment_id, _C.post_id == post_id))
        return False


# Statements that every request runs are built once: to build one anew takes as long as to run it.

_ON_POST = _C.post_id == bindparam("post_id", type_=Uuid)
_IN_SIGHT = (~_P.is_removed, _P.author_id.not_in(HIDDEN_USERS))
_POST = (_P.id == bindparam("post_id", type_=Uuid), *_IN_SIGHT)
_SHOWN = (_C.id, _C.post_id, _C.body, _U.username.label("author"), _C.author_id, _C.created_at, _C.updated_at)


def _with_id(post_id: Any, comment_id: Any) -> Select[Any]:
    shown = select(*_SHOWN).select_from(with_author(_TABLE, _C.author_id).join(_POSTS, _P.id == _C.post_id))
    return shown.where(_C.id == comment_id, _P.id == post_id, *_IN_SIGHT, ~_U.is_removed)


_BY_ID = PointRead({"post_id": Uuid(), "comment_id": BigInteger()}, lambda key: _with_id(key.post_id, key.comment_id))
_WITH_ID = _with_id(bindparam("post_id", type_=Uuid), bindparam("comment_id"))
_LOCKED = _WITH_ID.with_for_update(of=_TABLE, key_share=True)
_LOCKED_WHOLE = _WITH_ID.with_for_update(of=_TABLE)
_ADD = stored(
    insert(_TABLE).from_select(
        ["post_id", "author_id", "body"],
        select(_P.id, _U.id, bindparam("comment_body", type_=Text))
        .select_from(_POSTS.join(USERS, _U.id == bindparam("author")))
        .where(*_POST, _U.is_active),
    ),
    _SHOWN,
)
_LIST = Collection(
    table=_TABLE,
    sorts={"created_at": _C.created_at},
    visible=(_C.author_id.not_in(HIDDEN_USERS),),
    shown=_SHOWN,
    beside=lambda rows: with_author(rows, _C.author_id),
    filters={"post_id": _ON_POST},
    parent=(_POSTS, _POST[0] & _POST[1] & _POST[2]),
)

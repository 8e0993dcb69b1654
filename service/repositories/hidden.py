"""What is hidden: accounts and posts that are deleted for everybody, but were too much to go at once (ADR 9)."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import CursorResult, Integer, Select, bindparam, delete, exists, func, inspect, select, true, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from service.models import Comment, KeptAnswer, Post, Session, User

HIDDEN_USERS = select(User.id).where(User.is_removed)
_LIMIT = bindparam("limit", type_=Integer)


def _posts() -> Select[Any]:
    """Select the ids of posts that are hidden, or their authors are; the newest first, since lists begin with them."""
    authors = HIDDEN_USERS.subquery()
    newest = select(Post.id).where(Post.author_id == authors.c.id).order_by(Post.created_at.desc(), Post.id.desc())
    theirs = newest.limit(_LIMIT).lateral()
    of_authors = select(theirs.c.id).select_from(authors.join(theirs, true())).limit(_LIMIT)
    hidden = select(Post.id).where(Post.is_removed).limit(_LIMIT)
    both = union_all(select(hidden.subquery()), select(of_authors.subquery())).subquery()
    return select(both.c.id).limit(_LIMIT)


_POSTS = _posts()
_WITHOUT_COMMENTS = ~exists().where(Comment.post_id == Post.id)
_WITHOUT_ANYTHING = (
    ~exists().where(Post.author_id == User.id),
    ~exists().where(Comment.author_id == User.id),
    ~exists().where(Session.user_id == User.id),
    ~exists().where(KeptAnswer.user_id == User.id),
)
_OF_USERS: tuple[tuple[Any, Select[Any]], ...] = (
    (Comment, select(Comment.id).where(Comment.author_id.in_(HIDDEN_USERS))),
    (Session, select(Session.id).where(Session.user_id.in_(HIDDEN_USERS))),
    (KeptAnswer, select(KeptAnswer.scope).where(KeptAnswer.user_id.in_(HIDDEN_USERS))),
    (User, HIDDEN_USERS.where(*_WITHOUT_ANYTHING)),
)


class Hidden:
    """What can be done with it, inside a transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def remove(self, *, limit: int) -> int:
        """Remove so many rows at most, what hangs on others before those; return how many.

        What somebody else holds at the moment stays for the next time, and so does what it hangs on.
        """
        posts = tuple((await self._session.execute(_POSTS, {"limit": limit})).scalars())
        of_posts = (
            (Comment, select(Comment.id).where(Comment.post_id.in_(posts))),
            (Post, select(Post.id).where(Post.id.in_(posts), _WITHOUT_COMMENTS)),
        )
        for model, rows in of_posts + _OF_USERS if posts else _OF_USERS:
            removed = await self._delete(model, rows.limit(limit))
            if removed:
                return removed
        return 0

    async def _delete(self, model: Any, rows: Select[Any]) -> int:
        batch = rows.with_for_update(skip_locked=True).cte("batch")
        statement = delete(model).where(inspect(model).primary_key[0].in_(select(batch)))
        return cast(CursorResult[Any], await self._session.execute(statement)).rowcount


def locked_in_order(row_id: InstrumentedAttribute[Any], rows: Any) -> Select[Any]:
    """Return a statement that locks rows, given by their ids, in the order of these, and counts them."""
    locked = select(row_id).where(row_id.in_(rows)).order_by(row_id).with_for_update().subquery()
    return select(func.count()).select_from(locked)

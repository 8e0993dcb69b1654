"""What is hidden: accounts and posts that are deleted for everybody, but were too much to go at once (ADR 9)."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import CursorResult, Select, delete, exists, func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from service.models import Comment, KeptAnswer, Post, Session, User

_HIDDEN_USERS = select(User.id).where(User.is_removed)
_HIDDEN_POSTS = select(Post.id).where(Post.is_removed)
_THEIR_POSTS = select(Post.id).where(Post.author_id.in_(_HIDDEN_USERS))
_BARE = ~exists().where(Comment.post_id == Post.id)
_WITHOUT_ANYTHING = (
    ~exists().where(Post.author_id == User.id),
    ~exists().where(Comment.author_id == User.id),
    ~exists().where(Session.user_id == User.id),
    ~exists().where(KeptAnswer.user_id == User.id),
)
_IN_ORDER: tuple[tuple[Any, Select[Any]], ...] = (
    (Comment, select(Comment.id).where(Comment.post_id.in_(_HIDDEN_POSTS))),
    (Comment, select(Comment.id).where(Comment.post_id.in_(_THEIR_POSTS))),
    (Comment, select(Comment.id).where(Comment.author_id.in_(_HIDDEN_USERS))),
    (Post, _HIDDEN_POSTS.where(_BARE)),
    (Post, _THEIR_POSTS.where(_BARE)),
    (Session, select(Session.id).where(Session.user_id.in_(_HIDDEN_USERS))),
    (KeptAnswer, select(KeptAnswer.scope).where(KeptAnswer.user_id.in_(_HIDDEN_USERS))),
    (User, _HIDDEN_USERS.where(*_WITHOUT_ANYTHING)),
)


class Hidden:
    """What can be done with it, inside a transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def remove(self, *, limit: int) -> int:
        """Remove so many rows at most, what hangs on others before those; return how many.

        What somebody else holds at the moment stays for the next time, and so does what it hangs on.
        """
        for model, rows in _IN_ORDER:
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

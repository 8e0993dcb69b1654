"""What is hidden: accounts and posts that are deleted for everybody, but were too much to go at once (ADR 9)."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import CursorResult, Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from service.models import Comment, Post, User

_HIDDEN_USERS = select(User.id).where(User.is_removed)
_HIDDEN_POSTS = select(Post.id).where(Post.is_removed)
_THEIR_POSTS = select(Post.id).where(Post.author_id.in_(_HIDDEN_USERS))


class Hidden:
    """What can be done with it, inside a transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def remove(self, *, limit: int) -> int:
        """Remove so many rows at most, what hangs on others before those; return how many. Zero: nothing is left.

        The last rows of each are few enough to go with what they hang on.
        """
        for model, rows in (
            (Comment, select(Comment.id).where(Comment.post_id.in_(_HIDDEN_POSTS))),
            (Comment, select(Comment.id).where(Comment.post_id.in_(_THEIR_POSTS))),
            (Comment, select(Comment.id).where(Comment.author_id.in_(_HIDDEN_USERS))),
            (Post, _HIDDEN_POSTS),
            (Post, _THEIR_POSTS),
            (User, _HIDDEN_USERS),
        ):
            removed = await self._delete(model, rows.limit(limit))
            if removed:
                return removed
        return 0

    async def _delete(self, model: type[Comment | Post | User], rows: Select[Any]) -> int:
        batch = rows.with_for_update(skip_locked=True).cte("batch")
        statement = delete(model).where(model.id == batch.c.id)
        return cast(CursorResult[Any], await self._session.execute(statement)).rowcount


def locked_in_order(row_id: InstrumentedAttribute[Any], rows: Any) -> Select[Any]:
    """Return a statement that locks rows, given by their ids, in the order of these, and counts them."""
    locked = select(row_id).where(row_id.in_(rows)).order_by(row_id).with_for_update().subquery()
    return select(func.count()).select_from(locked)

"""What an author may do with what they wrote, and every admin with everybody's: change it, delete it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from service.context import Context
from service.errors import Forbidden, NotFound
from service.repositories.unit_of_work import UnitOfWork
from service.services.preconditions import Precondition, unconditional
from service.services.principal import Principal, current


@dataclass(frozen=True, slots=True)
class Written:
    """Something that has an author: ``what`` it is, which collection it is in, and the ids that it is found by."""

    what: str
    collection: Callable[[UnitOfWork], Any]
    key: tuple[uuid.UUID | int, ...]

    @classmethod
    def post(cls, post_id: uuid.UUID) -> Written:
        """Name a post."""
        return cls("post", attrgetter("posts"), (post_id,))

    @classmethod
    def comment(cls, post_id: uuid.UUID, comment_id: int) -> Written:
        """Name a comment on a post."""
        return cls("comment", attrgetter("comments"), (post_id, comment_id))


async def change(
    context: Context,
    principal: Principal,
    written: Written,
    *,
    changes: Mapping[str, object],
    precondition: Precondition = unconditional,
) -> Any:
    """Set some columns; return the row as stored.

    Raises:
        InvalidToken: the caller has been deleted or disabled since the request began.
        NotFound: there is no such row.
        Forbidden: it is another's.
        PreconditionFailed: it is not what the caller thinks it is.
    """
    async with context.transaction() as work:
        collection = await _lock(work, principal, written, precondition, verb="update")
        return await collection.change(changes, *written.key)


async def delete(
    context: Context, principal: Principal, written: Written, *, precondition: Precondition = unconditional
) -> None:
    """Delete the row and what hangs on it.

    Raises:
        InvalidToken, NotFound, Forbidden, PreconditionFailed: as `change`.
    """
    async with context.transaction() as work:
        collection = await _lock(work, principal, written, precondition, verb="delete")
        much = await collection.remove(*written.key)
    if much:
        context.something_hidden.set()


async def _lock(
    work: UnitOfWork, principal: Principal, written: Written, precondition: Precondition, *, verb: str
) -> Any:
    """Return the collection in which the row is locked, if the caller may change it as it is."""
    collection = written.collection(work)
    row = await collection.lock(*written.key, to_remove=verb == "delete")
    principal = await current(work, principal)
    if row is None:
        raise NotFound
    if not principal.may_change(row.author_id):
        raise Forbidden(f"Cannot {verb} another user's {written.what}")
    precondition(row)
    return collection

"""Use cases of comments: write. Changing and deleting one is `service/services/authored.py`."""

from __future__ import annotations

import uuid
from typing import Any

from service.context import Context
from service.errors import NotFound
from service.services.idempotency import ALWAYS, Once
from service.services.principal import Principal, current


async def write(context: Context, principal: Principal, post_id: uuid.UUID, *, body: str, once: Once = ALWAYS) -> Any:
    """Add a comment of the caller's to a post; return the row.

    Raises:
        InvalidToken: the caller has been deleted or disabled since the request began.
        NotFound: there is no such post.
        AlreadyAnswered, IdempotencyInProgress, IdempotencyKeyReused: as `Once` says.
    """
    async with once.unit(context) as work:
        comment = await work.comments.add(post_id, author_id=principal.id, body=body)
        if comment is None:
            await current(work, principal)
            raise NotFound
        await once.keep(work, comment, user_id=principal.id)
    return comment

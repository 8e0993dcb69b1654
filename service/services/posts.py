"""Use cases of posts: write. Changing and deleting one is `service/services/authored.py`."""

from __future__ import annotations

import secrets
import time
import uuid
from typing import Any

from service.context import Context
from service.errors import InvalidToken
from service.services.idempotency import ALWAYS, Once
from service.services.principal import Principal


async def write(context: Context, principal: Principal, *, title: str, body: str, once: Once = ALWAYS) -> Any:
    """Add a post of the caller's; return the row.

    Raises:
        InvalidToken: the caller has been deleted or disabled since the request began.
        AlreadyAnswered, IdempotencyInProgress, IdempotencyKeyReused: as `Once` says.
    """
    async with context.transaction() as work:
        await once.begin(work)
        post = await work.posts.add(new_id(), author_id=principal.id, title=title, body=body)
        if post is None:
            raise InvalidToken
        await once.keep(work, post, user_id=principal.id)
    return post


def new_id() -> uuid.UUID:
    """Return a UUID of version 7 (RFC 9562 §5.7): 48 bits of milliseconds since 1970, then random ones."""
    milliseconds, random = time.time_ns() // 1_000_000, secrets.randbits(74)
    high, low = random >> 62, random & (1 << 62) - 1
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)

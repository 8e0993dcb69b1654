"""Use cases of posts: write. Changing and deleting one is `service/services/authored.py`."""

from __future__ import annotations

import secrets
import time
from typing import Any

from service.context import Context
from service.errors import InvalidToken
from service.services.idempotency import ALWAYS, Once
from service.services.principal import Principal
from service.uuid7 import uuid7


async def write(context: Context, principal: Principal, *, title: str, body: str, once: Once = ALWAYS) -> Any:
    """Add a post of the caller's; return the row.

    Raises:
        InvalidToken: the caller has been deleted or disabled since the request began.
        AlreadyAnswered, IdempotencyInProgress, IdempotencyKeyReused: as `Once` says.
    """
    async with once.unit(context) as work:
        post_id = uuid7(time.time_ns() // 1000, secrets.randbits(62))
        post = await work.posts.add(post_id, author_id=principal.id, title=title, body=body)
        if post is None:
            raise InvalidToken
        await once.keep(work, post, user_id=principal.id)
    return post

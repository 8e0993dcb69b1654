"""What a cancelled request still brings to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def uncut(ending: Coroutine[Any, Any, T]) -> T:
    """Await the end of a transaction to its end, even when the request is cancelled meanwhile.

    A COMMIT that is cut leaves its outcome unknown, and a connection that is cut can't go back to the pool.
    """
    task = asyncio.create_task(ending)
    cancelled = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()

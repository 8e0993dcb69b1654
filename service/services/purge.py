"""Removes what has expired (sessions, entries of the blocklist, rate counts, failed logins, kept answers), and what is
hidden since it was too much to be deleted at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from operator import attrgetter

from service.context import Context
from service.errors import ServiceError

BATCH = 1000
"""Rows of each table that are removed in one transaction: nobody waits long for it."""

log = logging.getLogger("postern")


async def purge(context: Context) -> int:
    """Remove all that is over, in batches; return how many rows. Nothing is done while another process is at it."""
    removed = 0
    while True:
        batch = 0
        for over in (attrgetter("expired"), attrgetter("hidden")):
            async with context.transaction() as work:
                batch += await over(work).remove(limit=BATCH) if await work.expired.try_lock() else 0
        removed += batch
        if not batch:
            return removed


async def purge_forever(context: Context) -> None:
    """Purge again and again: at once when something was hidden, the first time soon, and not when all others do."""
    delay = context.settings.purge_seconds * random.random()  # noqa: S311 - no secret
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(context.something_hidden.wait(), delay)
        context.something_hidden.clear()
        delay = context.settings.purge_seconds
        try:
            removed = await purge(context)
        except ServiceError as error:  # the next round will do
            log.warning("purging stopped: %s", error.title)
        except Exception:  # nobody awaits this task: a bug is said here, and the next round is tried
            log.exception("purging failed")
        else:
            log.debug("purged %d rows", removed)

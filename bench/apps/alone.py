"""The service, but for its reads, which are not asked together: `python -m bench.apps.alone run --bind ...`.

Each is a statement by itself, the same one. It is `postern` otherwise.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from service import cli, stack
from service.config import Settings
from service.context import Context, open_context
from service.repositories.reads import Alone
from service.repositories.unit_of_work import Reading


@asynccontextmanager
async def open_unbatched(settings: Settings, database_url: str) -> AsyncIterator[Context]:
    """Open the context of a process whose reads go out alone."""
    async with open_context(settings, database_url) as context:
        yield replace(context, reading=Reading(Alone(context.engine)))


if __name__ == "__main__":
    stack.open_context = open_unbatched  # type: ignore[attr-defined]  # what the lifespan opens
    cli.main()

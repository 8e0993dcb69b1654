"""The whole house, put together: edge -> bridge -> Flask app, and the lifespan that opens and closes its context."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.api.context import attach
from service.app import create_app
from service.asgi import ASGIBridge
from service.config import Settings
from service.context import NotReady, open_context
from service.edge import Edge

log = logging.getLogger("postern")


def create_asgi(settings: Settings, database_url: str) -> Edge:
    """Return the ASGI application. Nothing is opened before the server starts its lifespan."""
    app = create_app(settings)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with open_context(settings, database_url) as context:
            try:
                await context.check_schema()
            except NotReady as error:  # not the end: it may come back, and until then /readyz says so
                log.warning("not ready: %s", error)
            attach(app, context)
            try:
                yield
            finally:
                attach(app, None)

    return Edge(ASGIBridge(app, lifespan=lifespan, max_body_bytes=settings.body_limit_bytes), settings)

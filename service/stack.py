"""The whole house, put together: edge -> bridge -> Flask app, and the lifespan that opens and closes its context."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from service import tracing
from service.api.context import attach
from service.app import create_app
from service.asgi import ASGIBridge
from service.config import ConfigurationError, Settings
from service.context import NotReady, open_context
from service.edge import Edge
from service.pulse import beat_forever
from service.services.purge import purge_forever

log = logging.getLogger("postern")


def create_asgi(settings: Settings, database_url: str) -> Edge:
    """Return the ASGI application. Nothing is opened before the server starts its lifespan."""
    app = create_app(settings)
    if settings.otel_exporter_otlp_endpoint:
        try:
            tracing.turn_on(settings.otel_exporter_otlp_endpoint)
        except ValueError as error:  # of one of the standard's own variables
            raise ConfigurationError([f"OTEL_…: {error}"]) from None

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with open_context(settings, database_url) as context:
            try:
                await context.check_schema()
            except NotReady as error:  # not the end: it may come back, and until then /readyz says so
                log.warning("not ready: %s", error)
            for warning in settings.warnings():
                log.warning(warning)
            attach(app, context)
            beside = [asyncio.create_task(work) for work in (purge_forever(context), beat_forever(context))]
            try:
                yield
            finally:
                attach(app, None)
                for task in beside:
                    await _cancel(task)
                await asyncio.to_thread(tracing.turn_off)

    return Edge(ASGIBridge(app, lifespan=lifespan, max_body_bytes=settings.body_limit_bytes), settings)


async def _cancel(task: asyncio.Task[None]) -> None:
    """End a task of ours; one that has failed by itself says so now."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

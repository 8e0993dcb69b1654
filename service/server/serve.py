"""One event loop's service, from its lifespan's begin to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import randint
from socket import socket
from typing import Any

from hypercorn.config import Sockets

from service.server.config import ServerConfig
from service.server.http1 import HTTP1
from service.server.seam import ASGIWrapper, Lifespan, LifespanState, StatsdLogger
from service.server.worker import Worker


async def serve(
    app: ASGIWrapper, config: ServerConfig, *, sockets: Sockets, shutdown_trigger: Callable[[], Awaitable[None]]
) -> None:
    """Serve an app, wrapped by Hypercorn, until the trigger returns or ``config.max_requests`` have come.

    The trigger is called when every socket listens. What is under way then has ``config.graceful_timeout`` seconds.

    Raises:
        LifespanFailureError: the app says that it can't start, or stop.
        LifespanTimeoutError: it says nothing for ``config.startup_timeout`` or ``config.shutdown_timeout`` seconds.
    """
    if config.statsd_host is not None:
        config.logger_class = StatsdLogger
    loop, state = asyncio.get_running_loop(), LifespanState({})
    lifespan = Lifespan(app, config, loop, state)
    living = loop.create_task(lifespan.handle_lifespan())
    try:
        await lifespan.wait_for_startup()
        if living.done():
            living.result()
        worker = Worker(app, config, state, max_requests=_max_requests(config))
        servers = await _listen(worker, sockets)
        try:
            await _until_first(shutdown_trigger(), _until_worn_out(worker))
        finally:
            for server in servers:
                server.close()
            await worker.drain(config.graceful_timeout)
        await lifespan.wait_for_shutdown()
    finally:
        living.cancel()
        with suppress(asyncio.CancelledError):
            await living


async def _listen(worker: Worker, sockets: Sockets) -> list[asyncio.Server]:
    config = worker.config
    tls = {"ssl": config.create_ssl_context(), "ssl_handshake_timeout": config.ssl_handshake_timeout}
    kinds: list[tuple[socket, dict[str, Any]]] = [(sock, {}) for sock in sockets.insecure_sockets]
    kinds += [(sock, tls) for sock in sockets.secure_sockets]
    return [
        await worker.loop.create_server(lambda: HTTP1(worker), sock=sock, backlog=config.backlog, **options)
        for sock, options in kinds
    ]


async def _until_worn_out(worker: Worker) -> None:
    """Wait until ``max_requests`` have come, and nobody else sees to what follows."""
    await worker.worn_out.wait()
    if worker.config.when_worn_out is not None:
        worker.config.when_worn_out()
        await asyncio.Event().wait()


async def _until_first(*events: Awaitable[object]) -> None:
    """Wait until one of them is done, whose exception is raised."""
    tasks = [asyncio.ensure_future(event) for event in events]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()


def _max_requests(config: ServerConfig) -> int | None:
    return None if config.max_requests is None else config.max_requests + randint(0, config.max_requests_jitter)  # noqa: S311

"""What all connections of one event loop share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from service.server.config import ServerConfig
from service.server.doorkeeper import Doorkeeper
from service.server.grammar import Headers
from service.server.seam import ASGIWrapper, LifespanState, WorkerContext

if TYPE_CHECKING:
    from service.server.connection import Connection

CUT_SECONDS = 2
"""How long what is cut off at a stop may take to end."""


class Worker:
    """An app, its configuration, and whatever is under way."""

    def __init__(
        self, app: ASGIWrapper, config: ServerConfig, state: LifespanState, *, max_requests: int | None = None
    ) -> None:
        self.app: Any = app.app  # Hypercorn and asgiref have types of their own for the same
        self.wrapped = app
        self.config = config
        self.state = state
        self.loop = asyncio.get_running_loop()
        self.doorkeeper = Doorkeeper(config.seconds_apart)
        self.context = WorkerContext(None)  # of what Hypercorn serves itself
        self.draining = False
        self.worn_out = asyncio.Event()
        """Set when ``max_requests`` have come."""
        self.logs_access = config.log.access_logger is not None
        self._connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._alone = asyncio.Event()  # there is no connection
        self._alone.set()
        self._requests_left = max_requests
        self._headers: Headers = []
        self._headers_at = 0

    def headers(self) -> Headers:
        """Return what the server adds to each answer; for a second it is the same."""
        now = int(time.time())
        if now != self._headers_at:
            self._headers, self._headers_at = self.config.response_headers("h11"), now
        return self._headers

    def count_request(self) -> None:
        """Take note that a request has come."""
        if self._requests_left is not None:
            self._requests_left -= 1
            if self._requests_left < 0:
                self.worn_out.set()

    def add(self, connection: Connection) -> None:
        """Take note of a connection."""
        self._connections.add(connection)
        self._alone.clear()

    def remove(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        if not self._connections:
            self._alone.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that a stop waits for."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def drain(self, grace_seconds: float) -> None:
        """Close what is idle, let what is under way end, and cut off what takes longer."""
        self.draining = True
        await self.context.terminated.set()
        for connection in tuple(self._connections):
            connection.drain()
        await self._until_nothing_is_left(grace_seconds)
        for connection in tuple(self._connections):
            connection.cut()
        for task in tuple(self.tasks):
            task.cancel()
        await self._until_nothing_is_left(CUT_SECONDS)

    async def _until_nothing_is_left(self, limit_seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_seconds):
                while self.tasks:
                    await asyncio.wait(self.tasks)
                await self._alone.wait()

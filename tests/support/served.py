"""An application on the server's engine, in the loop of the tests: what reaches it has gone over a socket."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

import httpx
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.typing import LifespanState
from service.server.config import ServerConfig
from service.server.http1 import HTTP1
from service.server.worker import Worker


class Listening:
    """The engine on a port of 127.0.0.1. The lifespan is somebody else's affair.

    What ``scope`` has stands in each request's scope, in place of what the socket tells.
    """

    def __init__(self, app: Any, config: ServerConfig | None = None, **scope: Any) -> None:
        async def wrapped(found: Any, receive: Any, send: Any) -> None:
            await app({**found, **scope}, receive, send)

        self.worker = Worker(ASGIWrapper(cast(Any, wrapped)), config or quiet(), LifespanState({}))
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = listener.getsockname()[1]
        self._server = await self.worker.loop.create_server(lambda: HTTP1(self.worker), sock=listener)

    async def stop(self) -> None:
        """Close the port and all connections; what is under way is cut off."""
        if self._server is not None:
            self._server.close()
        await self.worker.drain(0)


class OverSockets(httpx.AsyncBaseTransport):
    """Sends a client's requests to an application over sockets, from whatever address `client` has."""

    def __init__(self, app: Any, client: tuple[str, int]) -> None:
        self._app, self._client = app, client
        self._listening: Listening | None = None
        self._starting = asyncio.Lock()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        # No TLS here: to read what authorities the machine trusts takes longer than most tests.
        self._inner = httpx.AsyncHTTPTransport(limits=limits, verify=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async with self._starting:
            if self._listening is None:
                self._listening = Listening(self._app, client=self._client)
                await self._listening.start()
        there = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._listening.port)
        sent = httpx.Request(
            request.method, there, headers=request.headers, stream=request.stream, extensions=request.extensions
        )
        return await self._inner.handle_async_request(sent)

    async def aclose(self) -> None:
        await self._inner.aclose()
        if self._listening is not None:
            await self._listening.stop()


def quiet() -> ServerConfig:
    """A configuration that logs nothing."""
    config = ServerConfig()
    config.errorlog = None
    return config

"""A connection of the HTTP/1.1 engine without a socket: bytes in, in any pieces, and what app and client saw."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.events import Closed, Event, RawData
from hypercorn.typing import ConnectionState
from service.server.doorkeeper import Doorkeeper
from service.server.http1 import HTTP1, ServerConfig

App = Callable[[Any, Any, Any], Awaitable[None]]
HEAD_LIMIT = 4096


@dataclass
class Seen:
    """What came of a connection: requests as (method, target, headers, body), what was sent, whether it was closed."""

    requests: list[tuple[str, bytes, list[tuple[bytes, bytes]], bytes]] = field(default_factory=list)
    sent: bytes = b""
    writes: int = 0
    closed: bool = False
    left_in_body: int = 0
    """Requests whose client was gone before their body was whole."""


def config() -> ServerConfig:
    made = ServerConfig()
    made.refuse = lambda status, under_way: (status, [], b"")
    made.include_date_header = made.include_server_header = False
    made.h11_max_incomplete_size = HEAD_LIMIT
    made.errorlog = None
    return made


async def read_body(receive: Any) -> bytes | None:
    """Return a request's body; None when the client leaves first."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        more = message["more_body"]
    return body


async def exchange(
    pieces: Iterable[bytes], app: App | None = None, *, hang_up: bool = True, doorkeeper: Doorkeeper | None = None
) -> Seen:
    """Send the pieces and then the end of what the client sends; the app is one that answers 200 with the body."""
    seen = Seen()

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        body = await read_body(receive)
        if body is None:
            seen.left_in_body += 1
            return
        seen.requests.append((scope["method"], scope["raw_path"], scope["headers"], body))
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def client(event: Event) -> None:
        if isinstance(event, RawData) and not seen.closed:
            seen.sent += event.data
            seen.writes += 1
        elif isinstance(event, Closed):
            seen.closed = True

    HTTP1.doorkeeper = doorkeeper or Doorkeeper()
    wrapped = ASGIWrapper(cast(Any, app or echo))
    async with asyncio.timeout(5), TaskGroup(asyncio.get_running_loop()) as tasks:
        state, peer = ConnectionState({}), ("127.0.0.1", 1)
        connection = HTTP1(wrapped, config(), WorkerContext(None), tasks, state, False, peer, peer, client)
        await connection.initiate()
        for piece in pieces:
            if not seen.closed and piece:
                await connection.handle(RawData(piece))
        if hang_up and not seen.closed:
            await connection.handle(RawData(b""))
        await connection.handle(Closed())
    return seen

"""A connection of the HTTP/1.1 engine without a socket: bytes in, in any pieces, and what app and client saw."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.typing import LifespanState
from service.server.config import ServerConfig
from service.server.doorkeeper import Doorkeeper
from service.server.http1 import HTTP1
from service.server.worker import Worker

App = Callable[[Any, Any, Any], Awaitable[None]]
HEAD_LIMIT = 4096
FIELD_LIMIT = 64
TURNS = 20
"""Of the event loop: more than an app needs for its next step, when it waits for nothing but its client."""


@dataclass
class Seen:
    """What came of a connection: requests as (method, target, headers, body), what was sent, whether it was closed."""

    requests: list[tuple[str, bytes, list[tuple[bytes, bytes]], bytes]] = field(default_factory=list)
    sent: bytes = b""
    writes: int = 0
    closed: bool = False
    left_in_body: int = 0
    """Requests whose client was gone before their body was whole."""
    left_over: int = 0
    """Tasks of the server that did not end with the connection."""


def config(server_names: list[str]) -> ServerConfig:
    made = ServerConfig()
    made.server_names = server_names
    made.refuse = lambda status, under_way, client: (status, [], b"")
    made.include_date_header = made.include_server_header = False
    made.h11_max_incomplete_size = made.target_limit_bytes = HEAD_LIMIT
    made.field_limit = FIELD_LIMIT
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


class Client(asyncio.Transport):
    """The other end of a connection: it takes what is sent, at once, and leaves when the server has ended its side."""

    def __init__(self, connection: HTTP1, seen: Seen) -> None:
        super().__init__()
        self.family = socket.AF_INET
        self.connection = connection
        self.seen = seen
        self.reads = asyncio.Event()
        self.reads.set()
        self._gone = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"socket": self, "peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None:
        self.seen.sent += data
        self.seen.writes += 1

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.seen.closed = True
        asyncio.get_running_loop().call_soon(self._hang_up)

    def pause_reading(self) -> None:
        self.reads.clear()

    def resume_reading(self) -> None:
        self.reads.set()

    def is_closing(self) -> bool:
        return self._gone

    def close(self) -> None:
        self.leave()

    abort = close

    def leave(self) -> None:
        self.seen.closed = True
        self.reads.set()
        if not self._gone:
            self._gone = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    def _hang_up(self) -> None:
        if not self._gone:
            self.connection.eof_received()


async def exchange(
    pieces: Iterable[bytes],
    app: App | None = None,
    *,
    hang_up: bool = True,
    patient: bool = False,
    doorkeeper: Doorkeeper | None = None,
    server_names: Iterable[str] = (),
) -> Seen:
    """Send the pieces and then the end of what the client sends; the app is one that answers 200 with the body.

    A patient client lets the app do what it can after each piece.
    """
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

    worker = Worker(ASGIWrapper(cast(Any, app or echo)), config(list(server_names)), LifespanState({}))
    worker.doorkeeper = doorkeeper or worker.doorkeeper
    connection = HTTP1(worker)
    client = Client(connection, seen)
    connection.connection_made(client)
    for piece in pieces:
        await client.reads.wait()
        if not seen.closed and piece:
            connection.data_received(piece)
        if patient:
            await turns()
    if hang_up and not seen.closed:
        connection.eof_received()
    writes = -1
    while writes < seen.writes:
        writes = seen.writes
        await turns()
    was_closed = seen.closed
    client.leave()
    await turns()
    if worker.tasks:
        await asyncio.wait(worker.tasks, timeout=5)
    seen.closed, seen.left_over = was_closed, len(worker.tasks)
    return seen


async def turns() -> None:
    """Let the loop go round."""
    for _ in range(TURNS):
        await asyncio.sleep(0)

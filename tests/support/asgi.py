"""The other side of `scope, receive, send`: a client whose every message a test feeds and sees.

Nothing in here asserts, and nothing knows of the product.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from flask import Flask

Message = dict[str, Any]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


def flask_app(**config: object) -> Flask:
    """Return an app with nothing but a session key and the given configuration."""
    app = Flask("bridged")
    app.config.update({"SECRET_KEY": "only for tests"} | config)
    return app


def http_scope(method: str = "GET", target: str = "/", **changes: object) -> Any:
    """Return the scope that a server makes of a request for `target`; `changes` replace its keys."""
    raw_path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.1"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"postern.test")],
        "client": ("192.0.2.7", 50123),
        "server": ("127.0.0.1", 8000),
        "extensions": {},
    } | changes


class Wire:
    """One connection: what its client sends, and what the application sent to it.

    Each of `chunks` arrives as a message of its own; without any, the body is empty. `complete=False` leaves the body
    without its end.
    """

    def __init__(self, *chunks: bytes, complete: bool = True) -> None:
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self.received = 0
        self.writable = asyncio.Event()
        self.writable.set()
        self._sent_more = asyncio.Event()
        bodies = chunks or (b"",)
        for index, chunk in enumerate(bodies):
            more = not complete or index < len(bodies) - 1
            self.incoming.put_nowait({"type": "http.request", "body": chunk, "more_body": more})

    async def receive(self) -> Any:
        message = await self.incoming.get()
        self.received += 1
        return message

    async def send(self, message: Any) -> None:
        """Take a message once the client reads, which it does while `writable` is set."""
        await self.writable.wait()
        self.sent.append(message)
        self._sent_more.set()

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def until_sent(self, count: int) -> None:
        """Wait until `count` messages were sent.

        Raises:
            TimeoutError: they were not within five seconds.
        """
        async with asyncio.timeout(5):
            while len(self.sent) < count:
                self._sent_more.clear()
                await self._sent_more.wait()

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def chunks(self) -> list[bytes]:
        return [message.get("body", b"") for message in self.sent if message["type"] == "http.response.body"]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def header(self, name: bytes) -> bytes | None:
        """Return the value of the first such header of the answer; None when there is none."""
        return next((value for key, value in self.sent[0]["headers"] if key == name), None)


async def serve(app: ASGIApp, wire: Wire, method: str = "GET", target: str = "/", **changes: object) -> Wire:
    """Serve one request that comes over `wire`."""
    await app(http_scope(method, target, **changes), wire.receive, wire.send)
    return wire


async def fetch(app: ASGIApp, target: str = "/", method: str = "GET", **changes: object) -> Wire:
    """Serve one request without a body."""
    return await serve(app, Wire(), method, target, **changes)


def shape(wire: Wire) -> list[tuple[str, bool | None]]:
    """Return the kind of each message sent, with its `more_body`."""
    return [(message["type"].removeprefix("http.response."), message.get("more_body")) for message in wire.sent]


WHOLE: list[tuple[str, bool | None]] = [("start", None), ("body", False)]

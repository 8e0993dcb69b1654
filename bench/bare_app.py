"""The application that servers are measured with: next to nothing, so that what they take themselves shows.

It imports nothing of ours: it runs in the environment of each server's own. Every answer has its length in its head.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SMALL = b"Hello, world!"
LARGE = b"0123456789abcdef" * 4096
"""64 KiB."""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer `/small`, `/large`, and `/upload` with the number of bytes sent to it."""
    if scope["type"] == "http":
        status, body = await answer(scope["path"], receive)
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    elif scope["type"] == "lifespan":
        await live(receive, send)


async def answer(path: str, receive: Receive) -> tuple[int, bytes]:
    if path == "/small":
        return 200, SMALL
    if path == "/large":
        return 200, LARGE
    if path == "/upload":
        return 200, str(await length_of_body(receive)).encode()
    return 404, b"Not found"


async def length_of_body(receive: Receive) -> int:
    length = 0
    while True:
        message = await receive()
        length += len(message.get("body", b""))
        if not message.get("more_body", False):  # its end, or the client has left
            return length


async def live(receive: Receive, send: Send) -> None:
    for moment in ("startup", "shutdown"):
        assert (await receive())["type"] == f"lifespan.{moment}"
        await send({"type": f"lifespan.{moment}.complete"})

"""What the clients ask for: an app for `python -m service.server tests.clients.app:app`."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

PART_BYTES = 10_000
EARLY = b'"early"'
PERIOD = bytes(range(251))  # a prime number of bytes, so that no block of it looks like another one


def content(size: int) -> bytes:
    """Return so many bytes, always the same."""
    return (PERIOD * (size // len(PERIOD) + 1))[:size]


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
    else:
        await ROUTES.get(scope["path"], echo)(scope, receive, send)


async def live(receive: Receive, send: Send) -> None:
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell in a line of JSON how the request has arrived, and on which connection."""
    body = await whole_body(receive)
    document = {
        "method": scope["method"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode("ascii"),
        "query": scope["query_string"].decode("ascii"),
        "version": scope["http_version"],
        "scheme": scope["scheme"],
        "headers": {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        "length": len(body),
        "digest": digest(body),
        "server_port": scope["server"][1],
        "client_port": scope["client"][1],
    }
    await answer(send, 200, json.dumps(document).encode() + b"\n", (b"content-type", b"application/json"))


async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    """Give the body back, once it is whole."""
    await answer(send, 200, await whole_body(receive))


async def duplex(scope: Scope, receive: Receive, send: Send) -> None:
    """Give each part of the body back as it comes."""
    await start(send, 200)
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": True})
    await send({"type": "http.response.body"})


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    """Send ``size`` bytes without saying how many there are."""
    await start(send, 200)
    await send_in_parts(send, content(asked(scope, "size")))
    await send({"type": "http.response.body"})


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    """Send ``size`` bytes in one message."""
    await answer(send, 200, content(asked(scope, "size")))


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    """Do as `echo`, after ``milliseconds``."""
    await asyncio.sleep(asked(scope, "milliseconds") / 1000)
    await echo(scope, receive, send)


async def early(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with ``status``, whatever is sent."""
    await answer(send, asked(scope, "status"), EARLY)


async def early_stream(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, whatever is sent, and say no length."""
    await start(send, 200)
    await send({"type": "http.response.body", "body": EARLY})


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with ``status`` and no content."""
    await start(send, asked(scope, "status"), (b"etag", b'"one"'))
    await send({"type": "http.response.body"})


async def trailers(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a body's digest behind it, to those who take that."""
    body = content(3 * PART_BYTES)
    takes_them = "http.response.trailers" in scope["extensions"]
    await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": takes_them})
    await send_in_parts(send, body)
    await send({"type": "http.response.body"})
    if takes_them:
        await send({"type": "http.response.trailers", "headers": [(b"x-digest", digest(body).encode())]})


async def hints(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell what will be needed before the answer is there."""
    if "http.response.early_hint" in scope["extensions"]:
        await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]})
    await answer(send, 200, b"hinted")


async def start(send: Send, status: int, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def answer(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    await start(send, status, *headers, (b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.body", "body": body})


async def send_in_parts(send: Send, body: bytes) -> None:
    for begin in range(0, len(body), PART_BYTES):
        part = body[begin : begin + PART_BYTES]
        await send({"type": "http.response.body", "body": part, "more_body": True})


async def whole_body(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def asked(scope: Scope, name: str) -> int:
    """Return a number from the query."""
    return int(parse_qs(scope["query_string"].decode("ascii"))[name][0])


ROUTES = {
    "/raw": raw,
    "/duplex": duplex,
    "/stream": stream,
    "/large": large,
    "/slow": slow,
    "/early": early,
    "/early-stream": early_stream,
    "/bare": bare,
    "/trailers": trailers,
    "/hints": hints,
}

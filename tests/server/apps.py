"""ASGI apps for a server to be tried with: a path for each thing that an app may do. Nothing of the product is here."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

App = Callable[[Any, Any, Any], Awaitable[None]]

PART = bytes(16 * 1024)
LARGE = bytes(8 * 1024 * 1024)


sent: Counter[str] = Counter()
"""Bytes of streams that the server was given, by the client's port."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Do what the path says."""
    if scope["type"] == "lifespan":
        await _live(scope, receive, send)
    elif scope["type"] == "websocket":
        await WEBSOCKETS.get(scope["path"], refusing)(scope, receive, send)
    else:
        await PATHS.get(scope["path"], describe)(scope, receive, send)


async def lifeless(scope: Any, receive: Any, send: Any) -> None:
    """An app that knows no lifespan."""
    if scope["type"] == "lifespan":
        raise TypeError("only HTTP")
    await app(scope, receive, send)


async def failing(scope: Any, receive: Any, send: Any) -> None:
    """An app that can't start."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the shelves are empty"})


async def failing_at_last(scope: Any, receive: Any, send: Any) -> None:
    """An app that can't stop."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.failed", "message": "the doors are stuck"})


async def hanging(scope: Any, receive: Any, send: Any) -> None:
    """An app that takes its time to start."""
    await receive()
    say("hanging")
    await asyncio.Event().wait()


SHY = Path("shy")


async def shy(scope: Any, receive: Any, send: Any) -> None:
    """An app that can't start while there is a file of that name."""
    await (failing if scope["type"] == "lifespan" and SHY.exists() else app)(scope, receive, send)  # noqa: ASYNC240 - once


async def deaf(scope: Any, receive: Any, send: Any) -> None:
    """An app that stops nothing when it is told to."""
    if scope["type"] == "lifespan":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    await app(scope, receive, send)


async def _live(scope: Any, receive: Any, send: Any) -> None:
    scope["state"]["greeting"] = "hello"
    while True:
        phase = (await receive())["type"]
        say(phase)
        await send({"type": f"{phase}.complete"})
        if phase == "lifespan.shutdown":
            return


def say(line: str) -> None:
    """Tell the test what happens."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def asked(scope: Any) -> dict[str, str]:
    """Return the parameters of a request's query."""
    return dict(parse_qsl(scope["query_string"].decode()))


async def answer(send: Any, body: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> None:
    """Send a whole answer."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


# What only answers


async def describe(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what the scope says."""
    told = {name: scope[name] for name in ("scheme", "method", "path", "http_version", "client", "server", "state")}
    document = json.dumps(told | {"headers": [name.decode() for name, _ in scope["headers"]]})
    scope["state"]["visited"] = True  # of which no other request is to know
    await answer(send, document.encode())


async def census(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what the process holds; what it has lost says so before."""
    gc.collect()
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - nothing else is open while it counts
    held = {"tasks": len(asyncio.all_tasks()), "descriptors": descriptors, "sent": sent}
    await answer(send, json.dumps(held).encode())


async def who(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the process, and the number that its supervisor has given it."""
    await answer(send, json.dumps([os.getpid(), os.environ.get("SERVER_NUMBER")]).encode())


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answer without a look at the body."""
    await answer(send, b"hello")


# What reads


async def read(receive: Any) -> bytes | None:
    """Return a request's body; None when the client leaves first."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the body."""
    say("begun")
    body = await read(receive)
    if body is None:
        say("left")
    else:
        await answer(send, body)


async def upload(scope: Any, receive: Any, send: Any) -> None:
    """Count the body's bytes and keep none."""
    count, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        count += len(message["body"])
        more = message["more_body"]
    await answer(send, b"%d" % count)


released = asyncio.Event()


async def unread(scope: Any, receive: Any, send: Any) -> None:
    """Answer when another request releases it, and never read."""
    say("begun")
    await released.wait()
    await answer(send, b"late")


async def release(scope: Any, receive: Any, send: Any) -> None:
    """Let `unread` go on."""
    released.set()
    await answer(send, b"")


# What takes its time


async def hold(scope: Any, receive: Any, send: Any) -> None:
    """Never end."""
    say("begun")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        say("cut")
        raise


async def listen(scope: Any, receive: Any, send: Any) -> None:
    """Wait until the client leaves."""
    say("begun")
    while (await receive())["type"] != "http.disconnect":
        pass
    say("left")


# What sends


async def stream(scope: Any, receive: Any, send: Any) -> None:
    """Send as many bytes as asked for, in small parts."""
    left = int(asked(scope)["bytes"])
    _, port = scope["client"] or (None, None)  # a client that left at once has no address any more
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % left)]})
    while left:
        part = PART[:left]
        left -= len(part)
        sent[str(port)] += len(part)
        await send({"type": "http.response.body", "body": part, "more_body": bool(left)})


async def endless(scope: Any, receive: Any, send: Any) -> None:
    """Send for ever, and look at nothing else."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": PART, "more_body": True})


async def large(scope: Any, receive: Any, send: Any) -> None:
    """Send much in one part."""
    await answer(send, LARGE)


async def duplex(scope: Any, receive: Any, send: Any) -> None:
    """Send and read at the same time."""
    await send({"type": "http.response.start", "status": 200, "headers": []})

    async def pour() -> None:
        for _ in range(int(asked(scope)["bytes"]) // len(PART)):
            await send({"type": "http.response.body", "body": PART, "more_body": True})

    await asyncio.gather(pour(), read(receive))
    await send({"type": "http.response.body", "body": b""})


# What goes wrong


async def silent(scope: Any, receive: Any, send: Any) -> None:
    """End without an answer."""


async def raising(scope: Any, receive: Any, send: Any) -> None:
    """Raise before an answer."""
    raise RuntimeError("it is broken")


async def broken_off(scope: Any, receive: Any, send: Any) -> None:
    """Raise within an answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("it is broken")


async def too_little(scope: Any, receive: Any, send: Any) -> None:
    """Send less than announced."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
    await send({"type": "http.response.body", "body": b"half"})


async def too_much(scope: Any, receive: Any, send: Any) -> None:
    """Send more than announced."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    await send({"type": "http.response.body", "body": b"HTTP/1.1 200 OK"})


# WebSockets


async def chat(scope: Any, receive: Any, send: Any) -> None:
    """Send back what comes."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") == "leave":
            await send({"type": "websocket.close", "code": 4000, "reason": "as asked"})
            return
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
    say(f"left {message['code']}")


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    """Refuse the handshake."""
    await receive()
    await send({"type": "websocket.close"})


async def explaining(scope: Any, receive: Any, send: Any) -> None:
    """Refuse the handshake with an answer of its own."""
    await receive()
    headers = [(b"content-length", b"4"), (b"x-reason", b"full")]
    await send({"type": "websocket.http.response.start", "status": 503, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"full"})


async def breaking(scope: Any, receive: Any, send: Any) -> None:
    """Raise before the handshake is answered."""
    await receive()
    raise RuntimeError("it is broken")


PATHS: dict[str, App] = {
    "/census": census,
    "/who": who,
    "/hello": hello,
    "/echo": echo,
    "/upload": upload,
    "/unread": unread,
    "/release": release,
    "/hold": hold,
    "/listen": listen,
    "/stream": stream,
    "/endless": endless,
    "/large": large,
    "/duplex": duplex,
    "/silent": silent,
    "/raising": raising,
    "/broken-off": broken_off,
    "/too-little": too_little,
    "/too-much": too_much,
}
WEBSOCKETS: dict[str, App] = {"/chat": chat, "/refusing": refusing, "/explaining": explaining, "/breaking": breaking}

"""A pytest plugin that sends each request of Flask's own test suite over a socket and through the bridge.

Flask's tests speak to an app by werkzeug's test client, which calls it as WSGI. Here that one call becomes: environ ->
bytes on a socket -> the server's engine -> ASGIBridge -> bytes -> the answer the client expects. It runs in the virtual
environment of Flask's suite, next to `service/asgi.py`, `service/server` and Hypercorn.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import socket
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import pytest
import service.asgi
import werkzeug.test
from flask import Flask
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.typing import LifespanState
from service.asgi import ASGIBridge, environ_of
from service.server.config import ServerConfig
from service.server.http1 import HTTP1
from service.server.worker import Worker
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import WSGIEnvironment

run_as_wsgi = werkzeug.test.run_wsgi_app


def pytest_configure(config: pytest.Config) -> None:
    werkzeug.test.run_wsgi_app = run_through_bridge


def run_through_bridge(
    app: Any, environ: WSGIEnvironment, buffered: bool = False
) -> tuple[Iterable[bytes], str, Headers]:
    if not isinstance(app, Flask):  # werkzeug also runs a response that is a WSGI app itself
        return run_as_wsgi(app, environ, buffered)
    received = _Received(asyncio.run(_exchange(app, environ)))
    answer = http.client.HTTPResponse(cast(Any, received), method=environ["REQUEST_METHOD"])
    answer.begin()
    return [answer.read()], f"{answer.status} {answer.reason.upper()}", Headers(answer.getheaders())


async def _exchange(app: Flask, environ: WSGIEnvironment) -> bytes:
    """Send the request to a server of its own, and return all that it sends back."""
    body = environ["wsgi.input"].read()
    environ["wsgi.input"].seek(0)  # the client sends it again when it follows a redirect
    service.asgi.environ_of = lambda scope, body: environ_of(scope, body) | _beside_http(environ)
    bridge, beside = ASGIBridge(app), _beside_the_request(environ)
    raised: list[BaseException] = []

    async def bridged(scope: Any, receive: Any, send: Any) -> None:
        try:
            await bridge(cast(Any, {**scope, **beside}), receive, send)
        except BaseException as error:  # noqa: BLE001 - a test expects it, on the other side of the socket
            raised.append(error)

    request = _request(environ, body)
    worker = Worker(ASGIWrapper(cast(Any, bridged)), ServerConfig(), LifespanState({}))
    listener = socket.create_server(("127.0.0.1", 0))
    async with await worker.loop.create_server(lambda: HTTP1(worker), sock=listener):
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(request)
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
        await worker.drain(5)
    for error in raised:
        raise error
    return received


def _request(environ: WSGIEnvironment, body: bytes) -> bytes:
    path = (environ["SCRIPT_NAME"] + environ["PATH_INFO"]).encode("latin-1")
    target = quote(path) + ("?" + environ["QUERY_STRING"] if environ["QUERY_STRING"] else "")
    headers = [
        f"{key.removeprefix('HTTP_').replace('_', '-')}: {value}"
        for key, value in environ.items()
        if key.startswith("HTTP_") or (key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
    ]
    lines = [f"{environ['REQUEST_METHOD']} {target} HTTP/1.1", *headers, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def _beside_http(environ: WSGIEnvironment) -> WSGIEnvironment:
    """What a test hands to the app beside the request: the client's own hooks, an error stream, and the like."""
    return {
        key: value
        for key, value in environ.items()
        if key == "wsgi.errors" or ("." in key and not key.startswith("wsgi."))
    }


def _beside_the_request(environ: WSGIEnvironment) -> dict[str, Any]:
    """What a socket can't tell: the addresses that a test gives its client and its server, and the like."""
    return {
        "scheme": environ["wsgi.url_scheme"],
        "root_path": environ["SCRIPT_NAME"],
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
        "client": (environ.get("REMOTE_ADDR", "127.0.0.1"), 50000),
    }


class _Received:
    """What was read from a socket, for http.client."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._received)

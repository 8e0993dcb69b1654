"""A pytest plugin that sends each request of Flask's own test suite through the bridge.

Flask's tests speak to an app by werkzeug's test client, which calls it as WSGI. Here that one call becomes: environ ->
ASGI scope -> ASGIBridge -> ASGI messages -> the answer the client expects. It runs in the virtual environment of
Flask's suite, next to nothing of ours but `service/asgi.py`.
"""

from __future__ import annotations

import asyncio
import http
from typing import TYPE_CHECKING, Any

import pytest
import service.asgi
import werkzeug.test
from flask import Flask
from service.asgi import ASGIBridge, environ_of
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
    start, *chunks = asyncio.run(_exchange(app, environ))
    headers = Headers([(name.decode("latin-1").title(), value.decode("latin-1")) for name, value in start["headers"]])
    status = http.HTTPStatus(start["status"])
    return [chunk["body"] for chunk in chunks], f"{status} {status.phrase.upper()}", headers


async def _exchange(app: Flask, environ: WSGIEnvironment) -> list[dict[str, Any]]:
    body = environ["wsgi.input"].read()
    environ["wsgi.input"].seek(0)  # the client sends it again when it follows a redirect
    incoming: asyncio.Queue[Any] = asyncio.Queue()
    incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
    messages: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        messages.append(message)

    service.asgi.environ_of = lambda scope, body: environ_of(scope, body) | _beside_http(environ)
    await ASGIBridge(app)(_scope_of(environ), incoming.get, send)
    return messages


def _beside_http(environ: WSGIEnvironment) -> WSGIEnvironment:
    """What a test hands to the app beside the request: the client's own hooks, an error stream, and the like."""
    return {
        key: value
        for key, value in environ.items()
        if key == "wsgi.errors" or ("." in key and not key.startswith("wsgi."))
    }


def _scope_of(environ: WSGIEnvironment) -> Any:
    headers = [
        (key.removeprefix("HTTP_").replace("_", "-").lower().encode(), value.encode("latin-1"))
        for key, value in environ.items()
        if key.startswith("HTTP_") or (key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
    ]
    path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.1"},
        "http_version": "1.1",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "path": path.encode("latin-1").decode("utf-8", "replace"),
        "query_string": environ["QUERY_STRING"].encode("latin-1"),
        "root_path": environ["SCRIPT_NAME"],
        "headers": headers,
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
        "client": (environ.get("REMOTE_ADDR", "127.0.0.1"), 50000),
    }

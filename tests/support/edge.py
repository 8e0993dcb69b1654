"""Small ASGI applications to put behind the edge, and what is left of a request there."""

from __future__ import annotations

import json
import logging
from typing import Any, cast

import pytest
from service.config import Settings
from service.edge import Edge
from tests.support.asgi import ASGIApp, Wire

Headers = list[tuple[bytes, bytes]]


def edge_over(app: ASGIApp, **settings: object) -> Edge:
    """Return the edge in front of an application; the settings are a test's, but for those given."""
    return Edge(cast(Any, app), Settings.load(_env_file=None, **{"app_env": "testing", **settings}))


class Answering:
    """An application that reads the whole body, then answers; it keeps the scope and the body of its last request."""

    def __init__(self, *chunks: bytes, status: int = 200, headers: Headers | None = None, reads: bool = True) -> None:
        self.chunks = chunks or (b"done",)
        self.status = status
        self.headers = headers or []
        self.reads = reads
        self.scope: Any = None
        self.body = b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.body = scope, b""
        more = self.reads
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            self.body += message["body"]
            more = message["more_body"]
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        for chunk in self.chunks[:-1]:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": self.chunks[-1], "more_body": False})


async def never_asked(scope: Any, receive: Any, send: Any) -> None:
    """An application that no request is to reach."""
    pytest.fail(f"{scope['method']} {scope['path']} reached the application")


def problem(wire: Wire, status: int, code: str) -> dict[str, Any]:
    """Check that a problem document was sent, whole, and return it."""
    assert wire.status == status, wire.body
    assert wire.header(b"content-type") == b"application/problem+json"
    document: dict[str, Any] = json.loads(wire.body)
    assert (document["status"], document["code"]) == (status, code)
    assert document["request_id"].encode() == wire.header(b"x-request-id")
    assert wire.header(b"content-length") == str(len(wire.body)).encode()
    assert (wire.header(b"retry-after") is not None) == (status == 503)
    assert wire.sent[-1].get("more_body", False) is False
    return document


def header_values(wire: Wire, name: bytes) -> list[bytes]:
    return [value for key, value in wire.sent[0]["headers"] if key == name]


def access_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return what each access line carries beside its message."""
    names = ("method", "path", "route", "status", "duration_ms", "client", "user_id")
    records = [record for record in caplog.records if record.name == "postern.access" and record.msg == "request"]
    return [{name: getattr(record, name) for name in names if hasattr(record, name)} for record in records]


def errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]

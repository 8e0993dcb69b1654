"""Edge: the ASGI guard in front of the bridge. What servers and Flask leave to somebody else happens here.

Limits of size and of time, the request id, security headers, CORS, the access line and the metrics of every request,
and a last resort that answers a problem document for whatever escapes. One clock runs at a time: until the body is
whole, then until the answer starts, then for each chunk of it. No route and no rule of the product is known here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import secrets
import time
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, unquote_to_bytes

from service import logs, metrics, tracing
from service.clock import Clock
from service.config import Settings
from service.cors import CORS, METHODS, Headers
from service.errors import (
    CodingNotImplemented,
    HeadersTooLarge,
    InternalError,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    RequestTimeout,
    ServiceError,
    Unavailable,
    UriTooLong,
)
from service.trace import Trace
from service.trace import current as current_trace

if TYPE_CHECKING:
    from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

LINGER_SECONDS = 2
"""How long an answer that came before the end of the request's body waits for the rest, so that the client reads it."""
CLIENT_GONE = 499
"""The status, in log and metrics, of a request whose client left before there was an answer; nginx calls it so."""

SECURITY_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")

_ADDRESS_WITH_PORT = re.compile(r"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\]):[0-9]+")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{8,64}")

log = logging.getLogger("postern")


class Edge:
    """An ASGI 3 application around another; the settings say the limits."""

    def __init__(self, app: ASGI3Application, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.cors = CORS(settings.cors_origins or (), credentials=settings.cors_credentials)
        self.draining = False

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve one request; what is not HTTP goes through, but for WebSockets, which are refused."""
        if scope["type"] == "http":
            await _Exchange(self, scope, receive, send).serve()
        elif scope["type"] == "websocket" and "websocket.http.response" in (scope.get("extensions") or {}):
            await _Exchange(self, {**scope, "method": "GET"}, receive, _for_websocket(send)).serve(NotFound())
        else:
            await self.app(scope, receive, send)

    def drain(self) -> None:
        """Begin to stop: connections are closed behind their answers, and `/readyz` sends new ones elsewhere."""
        self.draining = True


class _Exchange:
    """One request and its answer."""

    def __init__(self, edge: Edge, scope: Any, receive: Any, send: Any) -> None:
        self._edge = edge
        self._settings = edge.settings
        self._scope = scope
        self._raw_receive = receive
        self._raw_send = send
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._believe_proxies()
        self._path: str = scope["path"]
        self._raw_path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()  # optional in ASGI
        self._in_api = self._path == "/api" or self._path.startswith("/api/")
        self._trace = Trace(self._request_id())
        self._clock: Clock | None = None
        self._body_whole = False
        self._client_gone = False
        self._drainer: asyncio.Task[None] | None = None
        self._status: int | None = None

    async def serve(self, refusal: ServiceError | None = None) -> None:
        """Answer, whatever happens, and leave one line of it in the log."""
        current_trace.set(self._trace)
        started = time.perf_counter()
        metrics.in_flight.inc()
        try:
            if tracing.active is None:
                await self._answer(refusal)
            else:
                await self._answer_traced(tracing.active, refusal)
        finally:
            if self._drainer is not None:
                self._drainer.cancel()
            metrics.in_flight.dec()
            self._record(time.perf_counter() - started)

    async def _answer_traced(self, spans: tracing.Tracing, refusal: ServiceError | None) -> None:
        method = self._method()
        with spans.request(method, self._headers):
            try:
                await self._answer(refusal)
            finally:
                spans.answered(method, self._trace, self._status or CLIENT_GONE)

    async def _answer(self, refusal: ServiceError | None) -> None:
        try:
            with Clock(self._settings.body_seconds) as self._clock:
                await self._serve_or_refuse(refusal)
        except Exception as error:  # noqa: BLE001 - the last resort: `_failure` logs what was not expected
            failure = self._failure(error)
            if self._status is None:
                with suppress(TimeoutError), Clock(self._settings.stall_seconds) as self._clock:
                    await self._refuse(failure)

    async def _serve_or_refuse(self, refusal: ServiceError | None) -> None:
        refusal = refusal or self._refusal()
        preflight = self._edge.cors.preflight(self._scope["method"], self._headers) if self._in_api else None
        if refusal is not None:
            await self._refuse(refusal)
        elif preflight is not None:
            await self._respond(204, preflight, b"")
        else:
            await self._edge.app(self._scope, self._receive, self._send)
            if self._status is None and not self._client_gone:
                raise RuntimeError("the app returned without an answer")

    def _failure(self, error: Exception) -> ServiceError:
        if isinstance(error, TimeoutError) and self._clock is not None and self._clock.rang:
            return Unavailable("The answer took too long") if self._body_whole else RequestTimeout()
        log.exception("a request failed")
        return InternalError()

    # What is refused before anything of the product is asked

    def _refusal(self) -> ServiceError | None:
        scope, settings = self._scope, self._settings
        fields, query = scope["headers"], scope["query_string"]
        if len(self._raw_path) + len(query) + bool(query) > settings.url_limit_bytes:
            return UriTooLong()
        size = sum(map(len, chain.from_iterable(fields))) + len(fields) * len(b": \r\n")
        if len(fields) > settings.header_limit_fields or size > settings.header_limit_bytes:
            return HeadersTooLarge()
        if scope["method"] in ("CONNECT", "TRACE"):
            return MethodNotAllowed(headers={"Allow": ", ".join(METHODS)})
        if b"//" in self._raw_path or b"%2f" in self._raw_path.lower():
            return NotFound()  # werkzeug would take them for other paths, and a proxy's rules would not
        if not _is_text(self._raw_path):
            return MalformedRequest("Malformed request: the path is not text in UTF-8")
        self._trace.malformed_query = not _is_text(query)
        self._trace.two_authorizations = [name for name, _ in fields].count(b"authorization") > 1
        if self._edge.draining and self._path == "/readyz":
            return Unavailable("The service is stopping")
        return None

    # Between the server and the app

    async def _receive(self) -> Any:
        message = await self._raw_receive()
        if message["type"] == "http.disconnect":
            self._client_gone = True
        elif not message.get("more_body", False):
            self._body_whole = True
            self._set_clock(self._settings.answer_seconds)
        return message

    async def _send(self, message: Any) -> None:
        self._set_clock(self._settings.stall_seconds)
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message = {**message, "headers": self._complete(message.get("headers", []))}
            await self._raw_send(message)
        elif message.get("more_body", False) or not self._leaves_a_body():
            await self._raw_send(message)
        else:
            await self._send_and_linger(message)

    def _set_clock(self, seconds: float) -> None:
        if self._clock is not None:
            self._clock.set(seconds)

    def _leaves_a_body(self) -> bool:
        """Tell whether the client may still be sending although the answer is there."""
        announced = self._headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in self._headers
        return announced and not (self._body_whole or self._client_gone)

    async def _send_and_linger(self, message: Any) -> None:
        """End the answer once the rest of the request's body has been taken off the connection, or time is up.

        A server that closes while its client still sends makes the client's system drop the answer, and Hypercorn
        leaks a connection whose body nobody takes: so the rest is read while the end goes out, too.
        """
        await self._raw_send({**message, "more_body": True})
        self._drainer = asyncio.create_task(self._drain())
        await asyncio.wait([self._drainer], timeout=LINGER_SECONDS)
        await self._raw_send({"type": "http.response.body", "body": b"", "more_body": False})
        await asyncio.wait([self._drainer], timeout=LINGER_SECONDS)

    async def _drain(self) -> None:
        while not (self._body_whole or self._client_gone):
            await self._receive()

    # The answer's head, and answers of the edge's own

    async def _refuse(self, refusal: ServiceError) -> None:
        body = refusal.to_json(self._trace.request_id).encode()
        headers = [(name.lower().encode(), value.encode()) for name, value in refusal.headers.items()]
        await self._respond(refusal.status, [(b"content-type", b"application/problem+json"), *headers], body)

    async def _respond(self, status: int, headers: Headers, body: bytes) -> None:
        if status != 204:
            headers = [*headers, (b"content-length", str(len(body)).encode())]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        body = b"" if self._scope["method"] == "HEAD" else body
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def _complete(self, headers: Headers) -> Headers:
        """Add what every answer carries, unless the app has its own."""
        named = {name for name, _ in headers}
        added = [(b"x-request-id", self._trace.request_id.encode()), *SECURITY_HEADERS]
        if self._scope["scheme"] == "https":
            added.append(HSTS)
        if self._in_api:
            private = self._path == "/api/auth" or self._path.startswith("/api/auth/")
            added.append((b"cache-control", b"no-store" if private else b"private, no-cache"))
            added.append((b"vary", b"Authorization, Origin"))
            added += self._edge.cors.headers(self._headers.get(b"origin"))
        if self._scope["http_version"] < "2" and (self._edge.draining or self._leaves_a_body()):
            added.append((b"connection", b"close"))
        kept = [(name, value) for name, value in headers if name != b"server"]
        return kept + [(name, value) for name, value in added if name not in named]

    # Who asks, and what is left of it

    def _request_id(self) -> str:
        given = self._headers.get(b"x-request-id", b"")
        return given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)

    def _believe_proxies(self) -> None:
        """Take the client's address and scheme from the proxies that are ours, counted from the nearest."""
        if not self._settings.trusted_proxies:
            return
        address = self._forwarded(b"x-forwarded-for")
        with_port = _ADDRESS_WITH_PORT.fullmatch(address)
        with suppress(ValueError):  # what is no address is not believed
            client = str(ipaddress.ip_address(with_port[1] or with_port[2] if with_port else address))
            self._scope = {**self._scope, "client": (client, 0)}
        scheme = self._forwarded(b"x-forwarded-proto").lower()
        if scheme in ("http", "https"):
            self._scope = {**self._scope, "scheme": scheme}

    def _forwarded(self, name: bytes) -> str:
        """Return what the farthest of our proxies said in a list that each appends to; empty if it said nothing."""
        values = b",".join(value for key, value in self._scope["headers"] if key == name).split(b",")
        hops = self._settings.trusted_proxies
        return values[-hops].strip().decode("latin-1") if len(values) >= hops else ""

    def _record(self, seconds: float) -> None:
        status = self._status or CLIENT_GONE
        counter, histogram = metrics.of_request(self._method(), self._trace.route or "none", status)
        counter.inc()
        histogram.observe(seconds)
        client = self._scope.get("client")
        fields = {
            "method": self._scope["method"][:32],
            "path": self._raw_path.decode("latin-1")[:256],
            "route": self._trace.route,
            "status": status,
            "duration_ms": round(seconds * 1000, 2),
            "client": client[0] if client else None,
            "user_id": self._trace.user_id,
        }
        logs.request(fields)

    def _method(self) -> str:
        """Return the method, as one of few."""
        return self._scope["method"] if self._scope["method"] in METHODS else "other"


_OF_THE_SERVER = (NotFound, RequestTimeout, UriTooLong, HeadersTooLarge, InternalError, CodingNotImplemented)
_BEFORE_THE_APP: dict[int, type[ServiceError]] = {kind.status: kind for kind in _OF_THE_SERVER}


def before_the_app(status: int, under_way: bool, client: str | None = None) -> tuple[int, Headers, bytes]:
    """Return the answer of the server's own: to what is no request, as its HTTP is malformed (400), too slow (408), too
    large (414, 431) or in an unknown coding (501), and to one that got none (500).

    It has a request id and a line in the log of its own, unless it is under way: then the exchange writes the line.
    """
    refusal = _BEFORE_THE_APP.get(status, MalformedRequest)()
    trace = Trace(secrets.token_hex(16))
    if not under_way:
        current_trace.set(trace)
        logs.request({"status": refusal.status, "client": client})
        metrics.requests.labels("other", "none", str(refusal.status)).inc()
    headers = [(b"content-type", b"application/problem+json"), (b"x-request-id", trace.request_id.encode())]
    return refusal.status, headers + SECURITY_HEADERS, refusal.to_json(trace.request_id).encode()


def _is_text(quoted: bytes) -> bool:
    """Tell whether a part of a URL stands for UTF-8 without U+0000."""
    if b"%" not in quoted:
        return True
    try:
        return "\0" not in unquote_to_bytes(quoted).decode()
    except UnicodeDecodeError:
        return False


def _for_websocket(send: ASGISendCallable) -> ASGISendCallable:
    """Let an HTTP answer refuse a WebSocket handshake (ASGI extension websocket.http.response)."""

    async def send_as_websocket(message: Any) -> None:
        await send(cast(Any, {**message, "type": "websocket." + message["type"]}))

    return send_as_websocket

"""A request and its answer, as an ASGI app sees them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from service.server.answer import Answer
from service.server.connection import HIGH_WATER_BYTES, Connection
from service.server.grammar import Headers
from service.server.request import Request

DISCONNECT = {"type": "http.disconnect"}


class Exchange:
    """One call of the app: its scope, `receive` and `send`.

    ``on_answered()`` is called when the answer is out, ``on_failed(status)`` when the app ends without one.
    """

    __slots__ = (
        "_answered",
        "_body_due",
        "_connection",
        "_gone",
        "_headers",
        "_news",
        "_on_answered",
        "_on_failed",
        "_parts",
        "_reads",
        "_scope",
        "_sending",
        "_status",
        "_task",
        "_told",
        "_unread",
        "_waiting",
        "answer",
        "asked",
        "request",
        "whole",
    )

    def __init__(
        self,
        connection: Connection,
        request: Request,
        *,
        on_answered: Callable[[], None],
        on_failed: Callable[[int], None],
    ) -> None:
        self.request = request
        self.answer = Answer(request)
        self.asked = False
        """Whether the app has been called."""
        self.whole = False
        """Whether all of the request's body has come."""
        self._connection = connection
        self._on_answered = on_answered
        self._on_failed = on_failed
        self._scope: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None
        self._answered = False
        self._gone = False
        self._parts: list[bytes] = []  # of the body, not taken by the app
        self._unread = 0  # bytes in them
        self._told = False  # that the body is whole
        self._waiting = 0  # calls of `receive` that wait
        self._reads = False  # whether the app has asked for the body
        self._body_due: float | None = None
        self._news: asyncio.Event | None = None
        self._sending = asyncio.Lock()
        self._status = 0
        self._headers: Headers = []

    @property
    def waits(self) -> bool:
        """Tell whether the app waits for more of the request's body."""
        return self._waiting > 0 and not self.whole

    def begin(self, scope: dict[str, Any], line: bytes | None) -> None:
        """Call the app, after waiting in the doorkeeper's line of that name, if there is one."""
        self._scope = scope
        self._task = self._connection.worker.spawn(self._serve(line))

    def feed(self, content: bytes, whole: bool) -> None:
        """Take a part of the body from the client."""
        if content:
            self._parts.append(content)
            self._unread += len(content)
            if self._unread > HIGH_WATER_BYTES:
                self._connection.pause_reading()
        self.whole = whole
        if whole and self.waits and not self._connection.is_full:
            self._connection.expect(None)
        self._tell()

    def leave(self, status: int = 0) -> None:
        """Learn that nobody is there to be answered, or that somebody else has done so, with this status."""
        self._gone = True
        self._status = self._status or status
        self._tell()
        if not self.asked and self._task is not None:
            self._task.cancel()

    def leaves_a_beginning(self, *, last: bool) -> bool:
        """Tell whether it will be clear where the next request begins, when the answer ends now, or goes on.

        A body that the app leaves is read to its end if that is near, and not withheld until `100 Continue`.
        """
        if self.whole or self.request.awaits_continue:
            return self.whole
        left = self.request.body.left
        return (left is not None and left <= HIGH_WATER_BYTES) or (self._reads and not last)

    def seconds_left(self) -> float | None:
        """Return how much time the client has for the rest of the body; None while the app does not wait for it."""
        if not self.waits or self._body_due is None:
            return None
        return max(0, self._body_due - self._connection.worker.loop.time())

    async def _serve(self, line: bytes | None) -> None:
        worker, began = self._connection.worker, time.time()
        try:
            if line is not None:
                await worker.doorkeeper.enter(line)
            self.asked = True
            await worker.app(self._scope, self.receive, self.send)
        except Exception:  # noqa: BLE001 - the outermost edge: what an app raises ends one request
            await worker.config.log.exception("Error in ASGI Framework")
        finally:
            if not (self._answered or self._gone):
                self._on_failed(500)
        if worker.logs_access:
            response: Any = {"status": self._status, "headers": self._headers} if self._status else None
            await worker.config.log.access(self._scope, response, time.time() - began)  # type: ignore[arg-type]  # a scope

    # The app's side

    async def receive(self) -> dict[str, Any]:
        """Return the next part of the body, or that the client has gone, or has its answer."""
        self._reads = True
        while True:
            if self._gone or self.answer.complete:
                return DISCONNECT.copy()
            if self._parts or (self.whole and not self._told):
                return self._next_part()
            await self._until_news()

    def _next_part(self) -> dict[str, Any]:
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._unread = 0
        self._told = self.whole
        self._connection.resume_reading()
        return {"type": "http.request", "body": body, "more_body": not self.whole}

    async def _until_news(self) -> None:
        self._waiting += 1
        if not self.whole:
            self._expect_more()
        if self._news is None:
            self._news = asyncio.Event()
        try:
            await self._news.wait()
        finally:
            self._waiting -= 1

    def _expect_more(self) -> None:
        if self.request.awaits_continue and not self.answer.begun:
            self.request.awaits_continue = False
            self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._body_due is None:
            worker = self._connection.worker
            self._body_due = worker.loop.time() + worker.config.body_seconds
        if not self._connection.is_full:
            self._connection.expect(self.seconds_left())

    def _tell(self) -> None:
        news, self._news = self._news, None
        if news is not None:
            news.set()

    async def send(self, message: Any) -> None:
        """Take a part of the answer; wait when the client reads more slowly than the app sends.

        One that is cancelled meanwhile is the end of the answer: a part of it may be missing.

        Raises:
            ValueError: it can't be sent: a field that would not stay on its line, another length than announced.
            RuntimeError: it is not its turn.
        """
        async with self._sending:
            try:
                await self._send(message)
            except asyncio.CancelledError:
                if not (self._answered or self._gone):
                    self._on_failed(500)
                raise

    async def _send(self, message: Any) -> None:
        kind, answer = message["type"], self.answer
        if kind == "http.response.start" and not answer.started:
            self._status, self._headers = message["status"], list(message.get("headers", ()))
            added = self._connection.worker.headers()
            answer.closes = answer.closes or self._connection.worker.draining
            answer.start(self._status, self._headers, added, trailers=message.get("trailers", False))
        elif kind == "http.response.body" and answer.started and not answer.content_ended:
            last = not message.get("more_body", False)
            if not answer.begun:
                answer.closes = answer.closes or not self.leaves_a_beginning(last=last)
            for part in answer.parts(message.get("body", b""), last=last):
                await self._write(part)
        elif kind == "http.response.trailers" and answer.awaits_trailers:
            last = not message.get("more_trailers", False)
            await self._write(answer.trailers(list(message.get("headers", ())), last=last))
        elif kind == "http.response.trailers" and answer.complete and answer.offers_trailers:
            pass  # to a client that takes none
        elif kind == "http.response.early_hint" and not answer.started:
            await self._write(answer.early_hint(message["links"]))
        elif not self._gone:
            raise RuntimeError(f"{kind} at this point of an answer")

    async def _write(self, data: bytes) -> None:
        await self._connection.write(b"" if self._gone else data)
        if self.answer.complete and not self._gone:
            self._answered = True
            self._tell()
            self._on_answered()


def scope_of(request: Request, of_connection: dict[str, Any], state: Any) -> dict[str, Any]:
    """Return the scope of a request (ASGI, HTTP connection scope); `of_connection` is what all of one share."""
    raw_path, _, query = request.target.partition(b"?")
    path = raw_path.decode("ascii")
    extensions: dict[str, Any] = {}
    if request.version == "1.1":
        extensions["http.response.early_hint"] = {}
        if request.takes_trailers:
            extensions["http.response.trailers"] = {}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.1"},
        "http_version": request.version,
        "method": request.method,
        "path": unquote(path) if "%" in path else path,
        "raw_path": raw_path,
        "query_string": query,
        "headers": request.headers,
        "state": state.copy(),
        "extensions": extensions,
        **of_connection,
    }

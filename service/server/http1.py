"""HTTP/1.1 between a connection of Hypercorn's and its streams, in place of the one on h11."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar
from urllib.parse import unquote_to_bytes

from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, Request, Response, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import AppWrapper, ConnectionState

from service.server import wire
from service.server.doorkeeper import Doorkeeper
from service.server.wire import Answer, Headers, Malformed

Refusal = tuple[int, Headers, bytes]
"""Status, headers and body of an answer."""

STREAM_ID = 1  # there is one at a time
SAFE = ("GET", "HEAD", "OPTIONS")
EMPTY_LINES = 16
"""So many may stand before a request."""


class ServerConfig(Config):
    """Hypercorn's configuration, and how to answer a request that is none.

    ``refuse(status, under_way)`` returns the whole answer: 400 for what is malformed, 414 or 431 for a head beyond
    ``h11_max_incomplete_size`` bytes. A request that is under way has reached the app, which sees its client leave: its
    body broke off.
    """

    refuse: Callable[[int, bool], Refusal]
    seconds_apart: Mapping[bytes, float] | None = None
    """How far apart requests begin that are dear, by method and path, when many come at once.

    `POST /login`: without escapes, and without a slash at the end.
    """


class HTTP1:
    """A connection's requests, one after another: the next is not looked at before the last one's answer is out.

    What may be a crowd's waits for the doorkeeper: the first request of a connection, and all that are not safe (RFC
    9110 §9.2.1). Who is inside and reads goes ahead.

    No way leads out of HTTP/1.1: `Upgrade` is ignored, as RFC 9110 §7.8 allows, and the preface of HTTP/2 is malformed.
    HTTP/2 is spoken by ALPN, where there is TLS, and by Hypercorn's own class.
    """

    doorkeeper: ClassVar[Doorkeeper]  # of all that are served by one event loop

    def __init__(
        self,
        app: AppWrapper,
        config: ServerConfig,
        context: WorkerContext,
        task_group: TaskGroup,
        state: ConnectionState,
        ssl: bool,
        client: tuple[str, int] | None,
        server: tuple[str, int] | None,
        send: Callable[[Event], Awaitable[None]],
    ) -> None:
        self.app = app
        self.config = config
        self.context = context
        self.task_group = task_group
        self.state = state
        self.ssl, self.client, self.server = ssl, client, server
        self.send = send
        self.stream: HTTPStream | None = None
        self._buffer = bytearray()
        self._empty_lines = 0  # before the next request
        self._searched = 0  # so many of its bytes hold no end of a head
        self._at_end = False  # the client sends nothing more
        self._last = False  # nothing behind the request that is under way is to be read
        self._closed = False
        self._requests = 0
        self._body: wire.Body | None = None  # what is being read
        self._answer: Answer | None = None
        self._answered: asyncio.Future[None] | None = None  # what the reader waits for when it is ahead

    async def initiate(self) -> None:
        """Begin: there is nothing to do."""

    async def handle(self, event: Event) -> None:
        """Take bytes, none at the end of what the client sends, or that the connection is closed."""
        if isinstance(event, Closed):
            self._closed = True
            await self._end_stream()
        elif isinstance(event, RawData):
            self._at_end = not event.data
            if not self._last or self._body is not None:
                self._buffer += event.data
            try:
                await self._read()
            except Malformed as fault:
                if not self._closed:
                    await self._refuse(fault.status)

    # Requests

    async def _read(self) -> None:
        """Go on with what has come, until more has to come."""
        while not self._closed:
            if self.stream is None:
                if not await self._begin():
                    return
            elif self._body is not None:
                if not await self._read_body(self._body, self.stream):
                    return
            elif self._buffer or self._at_end:
                await self._until_answered()
            else:
                return

    async def _begin(self) -> bool:
        """Begin a request; tell whether its head was there."""
        request = self._next_request()
        if request is None:
            return False
        await self.send(Updated(idle=False))
        if self._requests == 0 or request.method not in SAFE:
            await self.doorkeeper.enter(_line_of(request))
            if self._closed:
                return False
        self._requests += 1
        self._last = request.closes
        self._body, self._answer = request.body, Answer(request)
        self._answer.closes = request.closes or self._requests > self.config.keep_alive_max_requests
        if request.awaits_continue and not self._buffer:
            await self.send(RawData(b"HTTP/1.1 100 Continue\r\n\r\n"))
        self.stream = HTTPStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self._stream_send,
            STREAM_ID,
        )
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=[field for field in request.headers if field[0] != b"upgrade"],
                http_version=request.version,
                method=request.method,
                raw_path=request.target,
                state=self.state,
            )
        )
        await self.context.mark_request()
        return True

    def _next_request(self) -> wire.Request | None:
        """Take the head of a request off the buffer; None when it is not whole.

        Raises:
            Malformed: it is none, too large, or breaks off.
        """
        buffer, limit = self._buffer, self.config.h11_max_incomplete_size
        while buffer.startswith(b"\r\n"):  # RFC 9112 §2.2: some clients send a line end that is no part of a body
            del buffer[:2]
            self._searched = 0
            self._empty_lines += 1
            if self._empty_lines > EMPTY_LINES:
                raise Malformed
        end = wire.end_of_head(buffer, self._searched)
        if (len(buffer) if end is None else end) > limit:
            raise Malformed(431 if b"\n" in buffer[:limit] else 414)
        if end is None:
            # A first byte that begins no method: TLS on the clear port, most often.
            if buffer and (self._at_end or (buffer[0] <= ord(" ") and buffer != b"\r")):
                raise Malformed
            self._searched = len(buffer)
            return None
        head = bytes(buffer[:end])
        request = wire.parse(head)
        del buffer[:end]
        self._searched = self._empty_lines = 0
        return request

    async def _read_body(self, body: wire.Body, stream: HTTPStream) -> bool:
        """Hand on what has come of a body; tell whether that was all of it."""
        data, whole = body.take(self._buffer)
        if data:
            await stream.handle(Body(stream_id=STREAM_ID, data=data))
        if whole:
            self._body = None
            if self._last:
                self._buffer.clear()
            await stream.handle(EndBody(stream_id=STREAM_ID))
        elif self._at_end:
            raise Malformed
        return whole

    async def _until_answered(self) -> None:
        self._answered = asyncio.get_running_loop().create_future()
        await self._answered

    # Answers

    async def _stream_send(self, event: StreamEvent) -> None:
        """Send a part of an answer, or end it."""
        answer = self._answer
        if self.stream is None or answer is None:
            return  # the client has left
        if isinstance(event, Response):
            if self.context.terminated.is_set():
                answer.closes = True
            answer.start(event.status_code, event.headers, self.config.response_headers("h11"))
        elif isinstance(event, Body):
            await self.send(RawData(answer.part(event.data)))
        elif isinstance(event, EndBody):
            if data := answer.end():
                await self.send(RawData(data))
        elif isinstance(event, StreamClosed):
            await self._finish(answer)

    async def _finish(self, answer: Answer) -> None:
        """Go on to the next request, or close a connection on which no next one would have a clear beginning."""
        kept = answer.complete and self._body is None and not answer.closes and not self.context.terminated.is_set()
        self._closed = not kept
        await self._end_stream()
        await self.send(Updated(idle=True) if kept else Closed())

    async def _end_stream(self) -> None:
        stream, self.stream, self._body = self.stream, None, None
        if stream is not None:
            _forget_body(stream)
            await stream.handle(StreamClosed(stream_id=STREAM_ID))
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    async def _refuse(self, status: int) -> None:
        """Answer what is no request, unless the answer of the request that breaks off has begun, and close."""
        self._closed = True
        if self.stream is None or self._answer is None or not self._answer.begun:
            status, headers, content = self.config.refuse(status, self.stream is not None)
            closing = [(b"content-length", str(len(content)).encode()), (b"connection", b"close")]
            head = wire.head(status, [*headers, *closing, *self.config.response_headers("h11")])
            request = self._answer.request if self.stream is not None and self._answer is not None else None
            asked_for_head = request.method == "HEAD" if request is not None else self._buffer.startswith(b"HEAD ")
            await self.send(RawData(head if asked_for_head else head + content))
        self._buffer.clear()
        await self._end_stream()
        await self.send(Closed())


def _line_of(request: wire.Request) -> bytes:
    """Return the name of the line in which the request stands, the same for all spellings of a path."""
    path = request.target.partition(b"?")[0]
    return request.method.encode() + b" " + unquote_to_bytes(path).rstrip(b"/")


def _forget_body(stream: HTTPStream) -> None:
    """Take out of a stream's queue what the app has not read of the body.

    The queue has ten places. What is to say that the client has gone would wait for one, in the app's own task.
    """
    put = getattr(stream, "app_put", None)
    queue: asyncio.Queue[object] | None = getattr(put, "__self__", None)
    while queue is not None and not queue.empty():
        queue.get_nowait()

"""HTTP/1.1 on the clear port and nothing else: what Hypercorn would answer, or switch to, before the app sees it."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, cast

import h11
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config
from hypercorn.events import Closed, Event, Updated
from hypercorn.protocol.events import EndBody, Response
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import H11Protocol

Refusal = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers and body of an answer."""

CLOSE_SECONDS = 2
"""How long a connection that is closed waits for its client to take what is left of the answer."""

_ABSOLUTE_FORM = re.compile(rb"https?://[^/?#@]+(?=/|$)", re.IGNORECASE)


class ServerConfig(Config):
    """Hypercorn's configuration, and how to answer a request that is none.

    ``refuse(status, under_way)`` returns the whole answer for what h11 would have answered with this bare status: 400,
    431 or 501. A request that is under way has reached the app, which sees its client leave: its body broke off.
    """

    refuse: Callable[[int, bool], Refusal]


class LastRequest(h11.Connection):
    """A connection that does not look at what stands behind its last request (RFC 9112 §9.6).

    To h11 that is a fault, and Hypercorn would answer the fault in place of what the request has done.
    """

    def receive_data(self, data: bytes) -> None:
        """Take what has arrived, unless nothing more is to be read."""
        if not data or self.their_state is not h11.MUST_CLOSE:
            super().receive_data(data)

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Return the next event of the request."""
        return h11.NEED_DATA if self.their_state is h11.MUST_CLOSE else super().next_event()


class StrictHTTP1(H11Protocol):
    """Hypercorn's HTTP/1.1, without the ways out of it, and with refusals that look like all others."""

    _method = b""  # of the request that is being looked at
    _cut_off = False  # whether an answer was given up after it had begun

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.connection = LastRequest(h11.SERVER, max_incomplete_event_size=self.config.h11_max_incomplete_size)

    async def stream_send(self, event: StreamEvent) -> None:
        """Send a part of an answer.

        One that the app gives up while its head is being sent looks to Hypercorn as if it had not begun: it would send
        a 500 behind that head. The connection is closed instead.
        """
        if isinstance(event, Response) and self.connection.our_state is h11.SEND_BODY:
            self._cut_off = True
        if not (self._cut_off and isinstance(event, Response | EndBody)):
            await super().stream_send(event)

    async def _check_protocol(self, event: h11.Request) -> None:
        """Ignore `Upgrade: h2c`, as RFC 9110 §7.8 allows: HTTP/2 is spoken by ALPN, where there is TLS."""

    async def _create_stream(self, request: h11.Request) -> None:
        # RFC 9112 §3.2.2: a server has to accept the absolute form.
        self._method = request.method
        target = _ABSOLUTE_FORM.sub(b"", request.target, count=1) or b"/"
        if _is_ambiguous(request) or not _is_a_target(request.method, target):
            await self._send_error_response(400)
            await self.send(Closed())
            return
        await super()._create_stream(
            h11.Request(
                method=request.method,
                # Without `Upgrade`, as without h2c: what is served here knows no other protocol.
                headers=[field for field in request.headers if field[0] != b"upgrade"],
                target=target,
                http_version=request.http_version,
            )
        )

    async def _send_error_response(self, status_code: int) -> None:
        status, headers, body = cast(ServerConfig, self.config).refuse(status_code, self.stream is not None)
        closing = [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
        added = self.config.response_headers("h11")
        await self._send_h11_event(h11.Response(status_code=status, headers=[*headers, *closing, *added]))
        if self._method != b"HEAD":
            await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


class Doorkeeper:
    """Lets few connections begin at a time when a crowd comes at once, so that whoever is inside is served meanwhile.

    To begin and to answer a first request is about a millisecond of the event loop: 500 at one moment would be half a
    second in which nobody else is answered. A handful comes in at once. Of a crowd one does every two milliseconds, by
    the clock and however busy the loop is, and the more the larger it is: the last one waits for a second or so.
    """

    HANDFUL = 64
    SECONDS_EACH = 0.002
    CROWD = 500

    def __init__(self) -> None:
        self._outside: deque[tuple[asyncio.Future[None], asyncio.BaseTransport]] = deque()
        self._looking = False  # whether somebody has come lately

    async def enter(self, transport: asyncio.BaseTransport) -> None:
        """Wait for one's turn, first come, first served; whoever has left meanwhile takes nobody's place."""
        if not self._looking:
            self._look_again()
        else:
            turn = asyncio.get_running_loop().create_future()
            self._outside.append((turn, transport))
            await turn

    def _look_again(self) -> None:
        self._looking = True
        asyncio.get_running_loop().call_later(self.SECONDS_EACH, self._look, time.monotonic())

    def _look(self, before: float) -> None:
        waiting = len(self._outside)
        due = (time.monotonic() - before) / self.SECONDS_EACH * (1 + waiting // self.CROWD)
        room = waiting if waiting <= self.HANDFUL else max(1, round(due))
        while self._outside and room:
            turn, transport = self._outside.popleft()
            if not turn.done():  # it may have been cancelled
                turn.set_result(None)
                room -= not transport.is_closing()
        self._looking = False
        if waiting:
            self._look_again()


class BoundedConnection(TCPServer):
    """Hypercorn's connection, which begins when the doorkeeper says so and ends when one of its two sides does.

    Hypercorn keeps a connection that its client has closed until the keep-alive time is over, and waits for ever for a
    client that has stopped reading.
    """

    doorkeeper: ClassVar[Doorkeeper]  # of all that are served by one event loop
    _reading: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Serve the connection until it ends."""
        await self.doorkeeper.enter(self.writer.transport)
        if not self.writer.transport.is_closing():  # else there is no address to ask for any more
            await super().run()

    async def _read_data(self) -> None:
        try:
            async with asyncio.timeout(None) as self._reading:
                await super()._read_data()
        except TimeoutError:  # cut by `_close`
            pass
        finally:
            self._reading = None
            await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        """Send, or close a connection that is half-closed once it would become idle."""
        if isinstance(event, Updated) and event.idle and self.reader.at_eof():
            event = Closed()
        await super().protocol_send(event)

    async def _close(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await super()._close()
        self.writer.transport.abort()
        if self._reading is not None and not self._reading.expired():
            self._reading.reschedule(self.loop.time())


def _is_ambiguous(request: h11.Request) -> bool:
    """Tell whether two readers could take the request for different ones.

    The preface of HTTP/2; a method in lower case, which Hypercorn would raise (RFC 9110 §9.1: case-sensitive); and
    `Content-Length` beside `Transfer-Encoding`, the way to smuggle requests, which RFC 9112 §6.1 lets a server refuse.
    """
    names = {name for name, _ in request.headers}
    both = b"content-length" in names and b"transfer-encoding" in names
    return both or request.http_version not in (b"1.0", b"1.1") or request.method != request.method.upper()


def _is_a_target(method: bytes, target: bytes) -> bool:
    """Tell whether it is one of RFC 9112 §3.2's forms, the absolute one being taken off."""
    return target.startswith(b"/") or (method, target) == (b"OPTIONS", b"*") or method == b"CONNECT"

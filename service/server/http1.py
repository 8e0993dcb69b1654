"""HTTP/1.1 on a connection: its requests, one after another."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote_to_bytes

from service.server.answer import head_of
from service.server.bodies import Body
from service.server.connection import HIGH_WATER_BYTES, Connection, address
from service.server.exchange import Exchange, scope_of
from service.server.grammar import Malformed
from service.server.handover import hand_over
from service.server.request import Request, end_of_head, handshake_of, parse
from service.server.worker import Worker

SAFE = ("GET", "HEAD", "OPTIONS")
EMPTY_LINES = 16
"""So many may stand before a request."""
LINE_BYTES = 64
"""What a request line may hold beside its target."""


class HTTP1(Connection):
    """Reads a request, has it answered, and looks at the next one then.

    What may be a crowd's waits for the doorkeeper: the first request of a connection, and all that are not safe (RFC
    9110 §9.2.1). Who is inside and reads goes ahead.

    HTTP/2 (by ALPN, so over TLS alone) and WebSockets go to Hypercorn. No other way leads out of HTTP/1.1: any other
    `Upgrade` is ignored, as RFC 9110 §7.8 allows, and the preface of HTTP/2 is malformed.
    """

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self._of_connection: dict[str, Any] = {}  # what all its scopes share
        self._buffer = bytearray()
        self._empty_lines = 0  # before the next request
        self._searched = 0  # so many of its bytes hold no end of a head
        self._requests = 0
        self._exchange: Exchange | None = None
        self._body: Body | None = None  # what is being read
        self._last = False  # nothing behind the request that is under way is to be read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request, or leave it to Hypercorn."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() == "h2":
            hand_over(self, b"")
            return
        self._of_connection = {
            "scheme": "http" if tls is None else "https",
            "root_path": self.worker.config.root_path,
            "client": address(transport, "peername"),
            "server": address(transport, "sockname"),
        }
        self.expect(self.worker.config.keep_alive_timeout)
        if self.worker.draining:  # it was shaking hands when the stop began
            self.drain()

    def took(self, data: bytes) -> None:
        """Take bytes of requests, none at the end of what the client sends."""
        self._buffer += data
        self._read()

    def _read(self) -> None:
        """Go on with what has come, until more has to come."""
        try:
            while not self.closed and (self._begin() if self._exchange is None else self._go_on(self._exchange)):
                pass
        except Malformed as fault:
            self._refuse(fault.status)

    # Requests

    def _begin(self) -> bool:
        """Begin a request; tell whether its head was there."""
        if self._body is not None and not self._skip(self._body):
            return False
        request = self._next_request()
        if request is None:
            if self.at_end:
                self.close()
            return False
        self.expect(None)
        worker = self.worker
        worker.count_request()
        self._requests += 1
        self._last = request.closes or self._requests >= worker.config.keep_alive_max_requests or worker.draining
        self._body = request.body
        self._exchange = exchange = Exchange(self, request, on_answered=self._answered, on_failed=self._refuse)
        exchange.answer.closes = self._last
        line = _line_of(request) if self._requests == 1 or request.method not in SAFE else None
        worker.doorkeeper.begun += line is None
        exchange.begin(scope_of(request, self._of_connection, worker.state), line)
        return True

    def _next_request(self) -> Request | None:
        """Take the head of a request off the buffer; None when it is not whole.

        Raises:
            Malformed: it is none, too large, or breaks off.
        """
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # RFC 9112 §2.2: some clients send a line end that is no part of a body
            del buffer[:2]
            self._searched = 0
            self._empty_lines += 1
            if self._empty_lines > EMPTY_LINES:
                raise Malformed
        end = end_of_head(buffer, self._searched)
        self._check_sizes(end)
        if end is None:
            self._wait_for_a_head()
            return None
        head = bytes(buffer[:end])
        request = parse(head)
        if len(request.target) > self.worker.config.target_limit_bytes:
            raise Malformed(414)
        names = self.worker.config.server_names
        if names and (request.host or b"").decode() not in names:
            raise Malformed(404)
        if request.asks_for_websocket and end == len(buffer):  # whoever waits for no answer asks for none
            hand_over(self, handshake_of(request))
            return None
        del buffer[:end]
        self._searched = self._empty_lines = 0
        return request

    def _check_sizes(self, end: int | None) -> None:
        buffer, config = self._buffer, self.worker.config
        size = len(buffer) if end is None else end
        line_limit = min(config.target_limit_bytes + LINE_BYTES, config.h11_max_incomplete_size)
        if size > line_limit and b"\n" not in buffer[:line_limit]:
            raise Malformed(414)
        if size > config.h11_max_incomplete_size or buffer.count(b"\n", 0, size) > config.field_limit + 2:
            raise Malformed(431)

    def _wait_for_a_head(self) -> None:
        buffer = self._buffer
        # A first byte that begins no method: TLS on the clear port, most often.
        if buffer and (self.at_end or (buffer[0] <= ord(" ") and buffer != b"\r")):
            raise Malformed
        if buffer and not self._searched:
            self.expect(self.worker.config.head_seconds)
        self._searched = len(buffer)

    def _skip(self, body: Body) -> bool:
        """Drop what has come of a body that the last request's app has left; tell whether that was all."""
        _, whole = body.take(self._buffer)
        if whole:
            self._body = None
        elif self.at_end:
            self.close()
        return whole

    def _go_on(self, exchange: Exchange) -> bool:
        """Hand on what has come of a body; tell whether to look at what stands behind it."""
        if self._body is None:
            if self._last:
                self._buffer.clear()
            elif len(self._buffer) > HIGH_WATER_BYTES:
                self.pause_reading()
            if self.at_end:
                self.expect(self.seconds_left())
            return False
        content, whole = self._body.take(self._buffer)
        if whole:
            self._body = None
        elif self.at_end:
            raise Malformed
        if content or whole:
            exchange.feed(content, whole)
        return whole

    # Answers

    def _answered(self) -> None:
        """Go on to the next request, or close a connection on which no next one would have a clear beginning."""
        exchange, self._exchange = self._exchange, None
        if (
            exchange is None
            or exchange.answer.closes
            or self.worker.draining
            or not exchange.leaves_a_beginning(last=True)
        ):
            self._end_behind_answer()
        else:
            self.resume_reading()
            self.expect(self.worker.config.keep_alive_timeout)
            if self._buffer or self.at_end:
                self._read()

    def _end_behind_answer(self) -> None:
        """Close the connection, though the client may still send; over TLS it would have to wait for the end."""
        if self._body is not None or self.is_paused or self.transport.can_write_eof():
            self.linger()
        else:
            self.close()

    def _end_idle(self) -> None:
        """Close a connection on which no request is under way."""
        if self._body is not None or self._buffer:
            self.linger()
        else:
            self.close()

    def _refuse(self, status: int) -> None:
        """Answer what is no request, or has no answer, unless an answer has begun; and close."""
        exchange, self._exchange = self._exchange, None
        if exchange is None or not exchange.answer.begun:
            client, under_way = self._of_connection.get("client"), exchange is not None and exchange.asked
            status, headers, content = self.worker.config.refuse(status, under_way, client[0] if client else None)
            closing = [(b"content-length", b"%d" % len(content)), (b"connection", b"close")]
            head = head_of(status, [*headers, *closing, *self.worker.headers()])
            asked_for_head = exchange.request.method == "HEAD" if exchange else self._buffer.startswith(b"HEAD ")
            self.transport.write(head if asked_for_head else head + content)
        if exchange is not None:
            exchange.leave(status)
        self._buffer.clear()
        if exchange is not None and exchange.answer.ends_with_connection:
            self.reset()
        else:
            self.linger()

    # What happens to it

    def overdue(self) -> None:
        """End a connection that is idle, or whose client takes too long to send or to read."""
        if self._exchange is None and not self._buffer:
            self._end_idle()
        elif self.is_full:
            self.transport.abort()
        elif self._exchange is None or self._exchange.waits:
            self._refuse(408)
        elif self.at_end:
            self.cut()

    def seconds_left(self) -> float | None:
        """Return how much time there is for the rest of the body that the app waits for.

        A client that has ended its side may have left: it is waited for as one that does not read.
        """
        if self.at_end:
            return self.worker.config.stall_seconds
        return self._exchange.seconds_left() if self._exchange is not None else None

    def lost(self) -> None:
        """Tell the app that its client has gone."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.leave()

    def drain(self) -> None:
        """Close the connection if no request is under way; else `_answered` does.

        A client that is about to send one would fail: it has a moment for that, and is told then.
        """
        if self._exchange is not None or self.closed:
            return
        if self.worker.config.last_request_seconds:
            self.expect(self.worker.config.last_request_seconds)
        else:
            self._end_idle()


def _line_of(request: Request) -> bytes:
    """Return the name of the line in which the request stands, the same for all spellings of a path."""
    path = request.target.partition(b"?")[0]
    return request.method.encode() + b" " + unquote_to_bytes(path).rstrip(b"/")

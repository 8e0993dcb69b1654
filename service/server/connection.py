"""A connection's two directions and its one timer, whatever is spoken on it."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Any, cast

from service.server.worker import Worker

HIGH_WATER_BYTES = 64 * 1024
"""So much may wait in each direction; then whoever sends has to wait, too."""
LOW_WATER_BYTES = 16 * 1024
AT_ONCE_BYTES = 256 * 1024
"""So much is written to a client that reads as fast before others have a turn."""
LINGER_SECONDS = 2
"""How long a connection stays for what the client still sends, so that it reads its answer."""


class Connection(asyncio.Protocol):
    """Writes no faster than the client reads, reads no faster than the app, and ends when one of its sides does.

    There is one timer. A request that comes in time does not stop it: when it fires it looks at what is due by then.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.transport: asyncio.Transport
        self.at_end = False
        """Whether the client sends nothing more."""
        self.closed = False
        """Whether nothing is taken or written any more."""
        self._lingers = False
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._paused = False
        self._writable: asyncio.Event | None = None  # there while the write buffer is full
        self._unsent = 0
        self._at_once = 0  # bytes written since others had a turn

    # What the protocol that is spoken makes of it

    def took(self, data: bytes) -> None:
        """Take what has come, nothing at the end of what the client sends."""
        raise NotImplementedError

    def overdue(self) -> None:
        """Learn that the client has let its time pass."""
        raise NotImplementedError

    def seconds_left(self) -> float | None:
        """Return how much time the client has to send something; None when nothing is waited for."""
        raise NotImplementedError

    def lost(self) -> None:
        """Learn that the client is gone."""
        raise NotImplementedError

    def drain(self) -> None:
        """Close the connection: now if it is idle, else behind the answer that is under way."""
        raise NotImplementedError

    def cut(self) -> None:
        """End the connection, and what is under way on it."""
        self.lost()
        self.transport.abort()

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER_BYTES, LOW_WATER_BYTES)
        self.worker.add(self)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if not self.closed:
            self.took(data)

    def eof_received(self) -> bool:
        """Go on with what is under way: a client that has said all that it has to say may still listen."""
        self.at_end = True
        if not self.closed:
            self.took(b"")
        elif self._lingers:
            self._end()
        return self.transport.can_write_eof()  # TLS knows no half of a connection

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.forget()
        self.resume_writing()
        self.lost()

    def pause_writing(self) -> None:
        """Have whoever writes wait until the client has taken most of what is there."""
        self._writable = asyncio.Event()
        self.expect(self.worker.config.stall_seconds)

    def resume_writing(self) -> None:
        """Let whoever writes go on."""
        writable, self._writable = self._writable, None
        if writable is not None:
            writable.set()
            if not self.closed:
                self.expect(self.seconds_left())

    # The app's side

    @property
    def is_full(self) -> bool:
        """Tell whether the client has to read before more is written."""
        return self._writable is not None

    async def write(self, data: bytes) -> None:
        """Send something, and wait for as long as the client reads too slowly; drop it when it has gone.

        An app that sends for ever, to a client that reads as fast or to none, lets others have their turns.
        """
        if self.closed or self.transport.is_closing():
            await asyncio.sleep(0)
            return
        self.transport.write(data)
        self._at_once += len(data)
        if self.at_end:
            self.expect(self.worker.config.stall_seconds)
        if self._writable is not None:
            await self._writable.wait()
        elif self._at_once > AT_ONCE_BYTES:
            self._at_once = 0
            await asyncio.sleep(0)

    def pause_reading(self) -> None:
        """Have the client wait until what it has sent was taken."""
        if not (self._paused or self.closed):
            self._paused = True
            self.transport.pause_reading()

    @property
    def is_paused(self) -> bool:
        """Tell whether the client waits, and may have sent what nobody has read."""
        return self._paused

    def resume_reading(self) -> None:
        """Take more from the client."""
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    # The end

    def close(self) -> None:
        """End the connection, once the client has taken what is left for it."""
        if not self.closed:
            self.closed = True
            self._end()

    def linger(self) -> None:
        """End the connection likewise, but take what the client still sends, and drop it.

        A client that still sends when the connection ends is told so by its own system, which drops the answer.
        """
        if self.at_end:
            self.close()
        elif not self.closed:
            self.closed = self._lingers = True
            self.resume_reading()
            if self.transport.can_write_eof():
                with suppress(OSError):  # the client has reset it
                    self.transport.write_eof()
            self.expect(LINGER_SECONDS)

    def reset(self) -> None:
        """End the connection so that nobody takes that for the end of what was sent."""
        with suppress(OSError):  # the client was faster
            linger_not = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
        self.closed = True
        self.transport.abort()

    def forget(self) -> None:
        """Leave the transport to somebody else, or to nobody."""
        self.closed = True
        self._lingers = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.worker.remove(self)

    def _end(self) -> None:
        self._lingers = False
        self.transport.close()
        self._unsent = self.transport.get_write_buffer_size()
        self.expect(self.worker.config.stall_seconds)

    def _wait_for_the_rest(self) -> None:
        unsent, before = self.transport.get_write_buffer_size(), self._unsent
        if unsent < before:
            self._unsent = unsent
            self.expect(self.worker.config.stall_seconds)
        else:
            self.transport.abort()

    # The timer

    def expect(self, seconds: float | None) -> None:
        """Give the client so much time for what it has to do now; None: it has nothing to do."""
        if seconds is None:
            self._due = None
            return
        self._due = due = self.worker.loop.time() + seconds
        if self._timer is not None and self._timer_at > due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._set_timer(due)

    def _set_timer(self, due: float) -> None:
        self._timer, self._timer_at = self.worker.loop.call_at(due, self._fire), due

    def _fire(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due > self.worker.loop.time():
            self._set_timer(self._due)
            return
        self._due = None
        if not self.closed:
            self.overdue()
        elif self._lingers:
            self._end()
        else:
            self._wait_for_the_rest()


def address(transport: asyncio.BaseTransport, name: str) -> tuple[str, int] | None:
    """Return `peername` or `sockname` as ASGI has it: host and port; None where there is none."""
    kind, found = transport.get_extra_info("socket").family, cast(Any, transport.get_extra_info(name))
    return (found[0], found[1]) if kind in (socket.AF_INET, socket.AF_INET6) and found else None

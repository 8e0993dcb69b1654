"""What Hypercorn serves by its own classes: HTTP/2 and WebSockets."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from service.server.seam import Closed, H2Protocol, TCPServer, Updated

if TYPE_CHECKING:
    from service.server.connection import Connection

log = logging.getLogger("hypercorn.error")

CLOSE_SECONDS = 2
"""How long a connection that is closed waits for its client to take what is left."""


class Streams(dict[int, Any]):
    """The streams of an HTTP/2 connection, of which Hypercorn forgets each with its answer.

    What a client still sends on such a one is dropped: to Hypercorn it is a KeyError, and the end of all others.
    """

    def __missing__(self, stream_id: int) -> Answered:
        return Answered()


class Answered:
    """A stream that nobody listens to."""

    async def handle(self, event: object) -> None:
        """Drop what has come."""


class BoundedTCPServer(TCPServer):
    """Hypercorn's connection, ending when one of its two sides does.

    Hypercorn keeps one that its client has closed until the keep-alive time is over, waits for ever for a client that
    has stopped reading or does not close its side, and lets apps wait for one that has gone.
    """

    _ended = False  # the client has

    async def run(self) -> None:
        """Serve the connection until it ends."""
        if self.writer.transport.is_closing():  # there is no address to ask for any more
            return
        try:
            await super().run()
        except* asyncio.CancelledError:  # the time to stop is over
            pass
        except* (ValueError, OSError) as errors:  # a path that is no ASCII; TLS that breaks off
            log.debug("a connection ended: %s", errors)

    async def protocol_send(self, event: object) -> None:
        """Do what the protocol says; a client that has gone is not idle."""
        if not (self._ended and isinstance(event, Updated)):
            await super().protocol_send(event)  # type: ignore[arg-type]  # one of Hypercorn's events

    async def _read_data(self) -> None:
        spoken = self.protocol.protocol
        if isinstance(spoken, H2Protocol):
            spoken.streams = Streams(spoken.streams)
        try:
            await super()._read_data()
        except asyncio.CancelledError:
            await self.protocol.handle(Closed())  # before the app is cancelled, whose answer would be a bare 500
            raise
        finally:
            self._ended = True
            if isinstance(spoken, H2Protocol):
                for buffer in tuple(spoken.stream_buffers.values()):
                    await buffer.close()
            await self.idle_task.stop()

    async def _initiate_server_close(self) -> None:
        await self.protocol.handle(Closed())
        await self._close()

    async def _close(self) -> None:
        with suppress(OSError):  # a time-out is one, too, and what TLS says of a client that goes on sending
            async with asyncio.timeout(CLOSE_SECONDS):
                await super()._close()
        self.writer.transport.abort()


def hand_over(connection: Connection, data: bytes) -> None:
    """Have Hypercorn serve a connection from here on; `data` was read from it, and is for Hypercorn to read."""
    connection.forget()
    worker, transport = connection.worker, connection.transport
    reader = asyncio.StreamReader(loop=worker.loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=worker.loop)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if connection.is_full:
        protocol.pause_writing()
    if data:
        reader.feed_data(data)
    if connection.at_end:
        reader.feed_eof()
    writer = asyncio.StreamWriter(transport, protocol, reader, worker.loop)
    server = BoundedTCPServer(worker.wrapped, worker.loop, worker.config, worker.context, worker.state, reader, writer)
    worker.spawn(server.run())

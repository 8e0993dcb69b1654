"""Clients beside the plain one: over TLS, of HTTP/2 and of WebSockets, and such as break off."""

from __future__ import annotations

import socket
import ssl
import struct
from pathlib import Path
from typing import Self

import h2.config
import h2.connection
import h2.events
import wsproto.events
from tests.support.processes import Running
from tests.support.sockets import Answer, Connection
from wsproto import ConnectionType, WSConnection

SMALL = 4096
"""A receive buffer that makes a client slow."""
H2Event = h2.events.Event
WSEvent = wsproto.events.Event


def reset(connection: Connection | socket.socket) -> None:
    """End a connection as a client does that breaks down."""
    sock = connection.socket if isinstance(connection, Connection) else connection
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(connection, Connection):
        connection.__exit__()
    else:
        sock.close()


def trusting(certificate: Path, *protocols: str) -> ssl.SSLContext:
    """Return what a client needs who knows the certificate, and offers these protocols."""
    context = ssl.create_default_context(cafile=certificate)
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


class Secure(Connection):
    """A connection over TLS."""

    def __init__(self, server: Running, context: ssl.SSLContext, *, receive_buffer: int | None = None) -> None:
        super().__init__(server, receive_buffer=receive_buffer)
        self._file.close()
        self.socket: ssl.SSLSocket = context.wrap_socket(self.socket, server_hostname="localhost")
        self._file = self.socket.makefile("rb")


class HTTP2(Secure):
    """A connection that speaks HTTP/2."""

    def __init__(self, server: Running, certificate: Path) -> None:
        super().__init__(server, trusting(certificate, "h2"))
        assert self.socket.selected_alpn_protocol() == "h2"
        settings = h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False)
        self.state = h2.connection.H2Connection(settings)
        self.state.initiate_connection()
        self.events: list[H2Event] = []
        self.flush()

    def flush(self) -> None:
        """Send what there is to be sent."""
        self.send(self.state.data_to_send())

    def begin(self, method: str, path: str, *, ends: bool = True) -> int:
        """Send the head of a request, and return the number of its stream."""
        number = self.state.get_next_available_stream_id()
        fields = {":method": method, ":scheme": "https", ":authority": "localhost", ":path": path}
        self.state.send_headers(number, list(fields.items()), end_stream=ends)
        self.flush()
        return number

    def give(self, number: int, body: bytes, *, ends: bool = True) -> None:
        """Send a part of a request's body."""
        self.state.send_data(number, body, end_stream=ends)
        self.flush()

    def until(self, kind: type[H2Event], number: int | None = None) -> bool:
        """Read until something has come, of this stream if it is given; False when the server ends the connection."""
        while not any(
            isinstance(event, kind) and number in (None, getattr(event, "stream_id", None)) for event in self.events
        ):
            data = self.socket.recv(65536)
            if not data:
                return False
            for event in self.state.receive_data(data):
                if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                    self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id or 0)
                self.events.append(event)
            self.flush()
        return True

    def answer_to(self, number: int) -> Answer:
        """Read the answer on a stream."""
        assert self.until(h2.events.StreamEnded, number), "no answer"
        of_stream = [event for event in self.events if getattr(event, "stream_id", None) == number]
        (head,) = (event for event in of_stream if isinstance(event, h2.events.ResponseReceived))
        fields = {str(name): str(value) for name, value in head.headers or ()}
        body = b"".join(event.data or b"" for event in of_stream if isinstance(event, h2.events.DataReceived))
        return Answer(int(fields.pop(":status")), fields, body)


class WebSocket:
    """A WebSocket over a connection, which may have served requests before."""

    def __init__(self, connection: Connection, path: str) -> None:
        self.connection = connection
        self.state = WSConnection(ConnectionType.CLIENT)
        self.send(wsproto.events.Request(host="postern.test", target=path))
        self._seen: list[WSEvent] = []

    def send(self, event: WSEvent) -> Self:
        """Send something."""
        self.connection.send(self.state.send(event))
        return self

    def receive(self) -> WSEvent:
        """Return what comes next."""
        while not self._seen:
            data = self.connection.socket.recv(65536)
            self.state.receive_data(data or None)
            self._seen += self.state.events()
        return self._seen.pop(0)

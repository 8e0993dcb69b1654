"""A way to the database that can swallow all that is sent: connections stay open, and nobody says a word."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

CHUNK_BYTES = 65_536


class BlackHole:
    """Passes on bytes between a port of 127.0.0.1 and a socket, until it swallows them."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._passing = threading.Event()
        self._passing.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def open(self) -> None:
        """Swallow from now on; what comes to connect is let in, and not answered."""
        self._passing.clear()

    def shut(self) -> None:
        """Pass on again: what was swallowed is lost, as are the connections that it was lost on."""
        for connected in self._sockets:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)
            connected.close()
        self._sockets.clear()
        self._passing.set()

    def close(self) -> None:
        """End."""
        self._listener.close()
        self.shut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._path)
                self._sockets += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(CHUNK_BYTES):
                if self._passing.is_set():
                    other.sendall(data)
        if self._passing.is_set():
            for end in (one, other):
                end.close()


@contextmanager
def through_black_hole(url: str) -> Iterator[tuple[BlackHole, str]]:
    """Give a way to a database, and the URL that leads through it."""
    parts = urlsplit(url)
    where = parse_qs(parts.query)
    hole = BlackHole(f"{where['host'][0]}/.s.PGSQL.{where['port'][0]}")
    try:
        name = f"{parts.username}:{parts.password}@127.0.0.1:{hole.port}"
        yield hole, f"{parts.scheme}://{name}{parts.path}?ssl=disable"
    finally:
        hole.close()

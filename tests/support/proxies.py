"""A way to the database that does what networks and servers do, when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

FIELDS = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
FATAL = b"E" + (len(FIELDS) + 4).to_bytes(4, "big") + FIELDS
"""What the server says before it ends a connection: https://www.postgresql.org/docs/current/protocol-error-fields.html"""


@dataclass
class Proxy:
    """Passes on bytes; it can lose what the server says to a COMMIT, and say that the server ends all connections."""

    port: int = 0
    losing: bool = False
    lost: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _clients: set[asyncio.StreamWriter] = field(default_factory=set)

    def announce_the_end(self) -> None:
        """Say on all connections that they end; but none does."""
        for writer in self._clients:
            writer.write(FATAL)

    async def pass_on(self, socket_path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(socket_path)
        committing = asyncio.Event()
        self._clients.add(writer)
        answers = asyncio.create_task(self._answers(server_reader, writer, committing))
        self._tasks.add(answers)
        try:
            while data := await reader.read(65_536):
                if self.losing and b"COMMIT;" in data:
                    committing.set()
                server_writer.write(data)
                await server_writer.drain()
        except ConnectionError:
            pass
        finally:
            self._clients.discard(writer)
            server_writer.close()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, committing: asyncio.Event
    ) -> None:
        while data := await reader.read(65_536):
            if committing.is_set():
                self.lost += 1
                break
            writer.write(data)
        writer.close()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy before a database, and the URL that leads through it."""
    parts = urlsplit(url)
    folder = parse_qs(parts.query)["host"][0]
    port = parse_qs(parts.query)["port"][0]
    proxy = Proxy()
    server = await asyncio.start_server(
        lambda reader, writer: proxy.pass_on(f"{folder}/.s.PGSQL.{port}", reader, writer), "127.0.0.1", 0
    )
    try:
        proxy.port = server.sockets[0].getsockname()[1]
        name = f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}"
        yield proxy, f"{parts.scheme}://{name}{parts.path}?ssl=disable"
    finally:
        server.close()

"""An HTTP/1.1 client that sends whatever bytes a test wants, and tells the answers apart."""

from __future__ import annotations

import errno
import json
import socket
import time
from dataclasses import dataclass
from typing import Any, Self

from tests.support.processes import Running


@dataclass(frozen=True)
class Answer:
    """One answer; header names are in lower case, and each is there once."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One connection to a server on loopback."""

    def __init__(self, server: Running, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", server.port))
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def send(self, data: bytes) -> Self:
        self.socket.sendall(data)
        return self

    def request(self, method: str, target: str, *lines: str, body: bytes | None = None) -> Answer:
        """Send one request, and return its answer."""
        self.send(head(method, target, *lines, *([f"Content-Length: {len(body)}"] if body is not None else [])))
        if body:
            self.send(body)
        return self.answer(method)

    def call(self, method: str, target: str, document: Any = None, token: str = "") -> Answer:
        """Send one request of the API."""
        lines = [f"Authorization: Bearer {token}"] if token else []
        if document is None:
            return self.request(method, target, *lines)
        return self.request(
            method, target, "Content-Type: application/json", *lines, body=json.dumps(document).encode()
        )

    def answer(self, method: str = "GET") -> Answer:
        """Read one answer, interim ones (100) as well."""
        version, _, status = self._file.readline().decode("latin-1").partition(" ")
        assert version == "HTTP/1.1", f"no answer: {version!r}"
        headers = {}
        while (line := self._file.readline().decode("latin-1").rstrip("\r\n")) != "":
            name, _, value = line.partition(":")
            assert name.lower() not in headers, f"twice: {line}"
            headers[name.lower()] = value.strip()
        code = int(status[:3])
        return Answer(
            code, headers, b"" if code < 200 or code in (204, 304) or method == "HEAD" else self._body(headers)
        )

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self._file.readline(), 16):
                body += self._file.read(size)
                self._file.readline()
            self._file.readline()
            return body
        return self._file.read(int(headers["content-length"])) if "content-length" in headers else self._file.read()

    def is_closed(self) -> bool:
        """Tell whether the server ends the connection, with nothing before it; waits until it does."""
        return self._file.read(1) == b""


def head(method: str, target: str, *lines: str) -> bytes:
    """Return a request's head as it goes over the wire."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: postern.test", *lines, "", ""]).encode("latin-1")


def ask(server: Running, method: str, target: str, document: Any = None, token: str = "") -> Answer:
    """Send one request of the API over a connection of its own."""
    with Connection(server) as connection:
        return connection.call(method, target, document, token)


def is_refused(server: Running) -> bool:
    """Tell whether nobody can connect to a server any more."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", server.port)) == errno.ECONNREFUSED


def dribble(connection: Connection, *, seconds: float) -> None:
    """Send a byte now and then, until the time is up or the server has had enough."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            connection.send(b" ")
        except ConnectionError:
            return
        time.sleep(0.05)

"""HTTP/1.1 as it stands on the wire (RFC 9112): heads, bodies and their framing. Nothing here reads or writes.

Whatever two readers could take for different things is malformed: this grammar allows what is listed and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

Headers = list[tuple[bytes, bytes]]
"""Names, in lower case when they were received, and values without the white space around them."""

CHUNK_LINE_BYTES = 256
CHUNKS, CHUNK_BYTES = 4096, 32
"""A body of more chunks than this has so many bytes in each on average, or it would be dearer than its size."""
TRAILER_BYTES = 16 * 1024

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_FIELDS = rb"(?:" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n)*+"
_HEAD = re.compile(rb"(" + _TOKEN + rb") ([!\"$-~]++) HTTP/1\.([01])\r\n(" + _FIELDS + rb")\r\n")
_TRAILERS = re.compile(_FIELDS + rb"\r\n")
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?)*+\r\n")
_LENGTH = re.compile(rb"[0-9]{1,20}")
_AUTHORITY = rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]*)(?::[0-9]{0,5})?"
_HOST = re.compile(_AUTHORITY)
_ABSOLUTE_FORM = re.compile(rb"\Ahttps?://(?=[^/?:])" + _AUTHORITY + rb"(?=[/?]|$)/?", re.IGNORECASE)
# Lines that end in a bare LF are no end of a head, but there is nothing more to wait for.
_END = re.compile(rb"\n\r?\n")
_STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}


class Malformed(Exception):
    """What has come is no request of HTTP/1.1, or one of several readings; ``status`` is how to answer it."""

    def __init__(self, status: int = 400) -> None:
        self.status = status


class Body(Protocol):
    """A request's body on its way in."""

    def take(self, buffer: bytearray) -> tuple[bytes, bool]:
        """Take off the buffer what belongs to the body; return its content, and whether that was all.

        Raises:
            Malformed: its framing is broken.
        """


class SizedBody:
    """A body whose length was announced; none has the length 0."""

    def __init__(self, length: int) -> None:
        self._left = length

    def take(self, buffer: bytearray) -> tuple[bytes, bool]:
        """Take off what has come, and no byte of what stands behind the body."""
        data = _taken(buffer, self._left)
        self._left -= len(data)
        return data, not self._left


class ChunkedBody:
    """A body in chunks (RFC 9112 §7.1). Extensions and trailers have to be right, and are dropped."""

    def __init__(self) -> None:
        self._left: int | None = None  # of a chunk's content; None where the next one's size stands
        self._last = False
        self._chunks = self._content = 0

    def take(self, buffer: bytearray) -> tuple[bytes, bool]:
        """Take off the chunks that have come, whole or in part, and the end when it has come."""
        parts: list[bytes] = []
        while not self._last and self._step(buffer, parts):
            pass
        return b"".join(parts), self._last and self._trailers(buffer)

    def _step(self, buffer: bytearray, parts: list[bytes]) -> bool:
        """Take a size, content, or the line end behind it; tell whether it was whole."""
        if self._left is None:
            return self._size(buffer)
        if self._left:
            parts.append(data := _taken(buffer, self._left))
            self._left -= len(data)
            return not self._left
        return self._line_end(buffer)

    def _size(self, buffer: bytearray) -> bool:
        end = buffer.find(b"\n", 0, CHUNK_LINE_BYTES) + 1
        if not end:
            if len(buffer) >= CHUNK_LINE_BYTES:
                raise Malformed
            return False
        line = _CHUNK.fullmatch(_taken(buffer, end))
        if line is None:
            raise Malformed
        self._left = int(line[1], 16)
        self._last = not self._left
        self._chunks += 1
        self._content += self._left
        if self._chunks > CHUNKS + self._content // CHUNK_BYTES:
            raise Malformed
        return True

    def _line_end(self, buffer: bytearray) -> bool:
        if not b"\r\n".startswith(buffer[:2]):
            raise Malformed
        if len(buffer) < len(b"\r\n"):
            return False
        del buffer[:2]
        self._left = None
        return True

    def _trailers(self, buffer: bytearray) -> bool:
        """Read what stands behind the last chunk; tell whether its end was there."""
        if buffer.startswith(b"\r\n"):
            del buffer[:2]
            return True
        end = _END.search(buffer)
        if len(buffer) > TRAILER_BYTES and (end is None or end.end() > TRAILER_BYTES):
            raise Malformed(431)
        if end is not None and _TRAILERS.fullmatch(_taken(buffer, end.end())) is None:
            raise Malformed
        return end is not None


@dataclass(slots=True)
class Request:
    """A request's head. ``target`` is in origin form, or what OPTIONS and CONNECT have in its place."""

    method: str
    target: bytes
    version: str
    headers: Headers
    body: Body
    closes: bool
    """Whether nothing behind this request is to be read."""
    awaits_continue: bool


def end_of_head(buffer: bytearray, begin: int) -> int | None:
    """Return where the head ends whose first ``begin`` bytes hold no end; None when it goes on."""
    end = _END.search(buffer, max(0, begin - len(b"\n\r")))
    return end.end() if end else None


def parse(head: bytes) -> Request:
    """Read a head, from its first byte to the empty line.

    Raises:
        Malformed: it is none, or another reader could take it for another request.
    """
    match = _HEAD.fullmatch(head)
    if match is None:
        raise Malformed
    method, target, minor, fields = match.groups()
    headers = []
    for line in fields.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        headers.append((name.lower(), value.strip(b" \t")))
    target = _ABSOLUTE_FORM.sub(b"/", target, count=1)
    if method != method.upper() or not _is_a_target(method, target):  # RFC 9110 §9.1: methods are case-sensitive
        raise Malformed
    hosts = _values(headers, b"host")
    if len(hosts) > 1 or (not hosts and minor == b"1") or not all(map(_HOST.fullmatch, hosts)):
        raise Malformed
    body = _body(headers, minor)
    expected = _values(headers, b"expect")
    return Request(
        method.decode(),
        target,
        "1." + minor.decode(),
        headers,
        body,
        closes=minor == b"0" or _say_close(headers),
        awaits_continue=minor == b"1" and bool(expected) and expected[0].lower() == b"100-continue",
    )


def _body(headers: Headers, minor: bytes) -> Body:
    """Find the framing: RFC 9112 §6.3, with all refused that it lets a server refuse: two framings, two lengths."""
    codings, lengths = _values(headers, b"transfer-encoding"), _values(headers, b"content-length")
    if codings:
        if lengths or minor == b"0" or [coding.lower() for coding in codings] != [b"chunked"]:
            raise Malformed
        return ChunkedBody()
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        raise Malformed
    return SizedBody(int(lengths[0]) if lengths else 0)


class Answer:
    """An answer's bytes: its head goes out with the first part of its content, in one write."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._head = b""
        self._chunked = False
        self._left: int | None = None
        self.begun = False
        """Whether a byte of it has gone out."""
        self.complete = False
        self.closes = request.closes

    def start(self, status: int, headers: Headers, added: Headers) -> None:
        """Take the head; ``headers`` are the app's, names in lower case, ``added`` the server's.

        Raises:
            ValueError: a name or a value would not stay on its line, or the length is none.
        """
        self._left, self._chunked = None, False  # an earlier head may have been refused
        lengths = _values(headers, b"content-length")
        headers = [*(field for field in headers if field[0] != b"transfer-encoding"), *added]
        if self.request.method == "HEAD" or status in (204, 304):
            self._left = 0
        elif lengths:
            self._left = int(lengths[0])
        elif self.request.version == "1.1":
            self._chunked = True
            headers.append((b"transfer-encoding", b"chunked"))
        else:
            self.closes = True
        said = _say_close(headers)
        if self.closes and not said:
            headers.append((b"connection", b"close"))
        self.closes = self.closes or said
        self._head = head(status, headers)

    def part(self, content: bytes) -> bytes:
        """Return what to send for a part of the content.

        Raises:
            ValueError: it is more than was announced.
        """
        if self._left is not None:
            if len(content) > self._left:
                raise ValueError("the app sends more than its Content-Length says")
            self._left -= len(content)
        if self._chunked:
            content = b"%x\r\n%b\r\n" % (len(content), content)
        return self._with_head(content)

    def end(self) -> bytes:
        """Return what to send for the end.

        Raises:
            ValueError: it is less than was announced.
        """
        if self._left:
            raise ValueError("the app sends less than its Content-Length says")
        self.complete = True
        return self._with_head(b"0\r\n\r\n" if self._chunked else b"")

    def _with_head(self, content: bytes) -> bytes:
        data, self._head, self.begun = self._head + content, b"", True
        return data


def head(status: int, headers: Headers) -> bytes:
    """Return an answer's head.

    Raises:
        ValueError: a name or a value holds what would end its line.
    """
    fields = b"".join([b"%b: %b\r\n" % field for field in headers])
    if not fields.count(b"\n") == fields.count(b"\r") == len(headers) or b"\0" in fields:
        raise ValueError("a header of the app would not stay on its line")
    return (_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status) + fields + b"\r\n"


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _say_close(headers: Headers) -> bool:
    """Tell whether one of the options of `Connection` is to close it."""
    options = b",".join(_values(headers, b"connection")).lower()
    return b"close" in map(bytes.strip, options.split(b","))


def _is_a_target(method: bytes, target: bytes) -> bool:
    """Tell whether it is one of RFC 9112 §3.2's forms, the absolute one being taken off."""
    return target.startswith(b"/") or (method, target) == (b"OPTIONS", b"*") or method == b"CONNECT"


def _taken(buffer: bytearray, count: int) -> bytes:
    """Take so many bytes off the front, or as many as there are."""
    taken = bytes(buffer[:count])
    del buffer[:count]
    return taken

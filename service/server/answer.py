"""Answers as they go over the wire (RFC 9112 §6 and §7)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus

from service.server.grammar import FIELDS, LENGTH, Headers, options_of
from service.server.request import Request

PIECE_BYTES = 64 * 1024
"""Of content: so much goes out at once."""

_FIELDS_ALONE = re.compile(FIELDS)
_STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}


class Answer:
    """An answer's bytes: its head goes out with the first part of its content, in one write."""

    __slots__ = (
        "_chunked",
        "_head",
        "_left",
        "_says_close",
        "_silent",
        "_trailers",
        "begun",
        "closes",
        "complete",
        "content_ended",
        "offers_trailers",
        "request",
    )

    def __init__(self, request: Request) -> None:
        self.request = request
        self.begun = False
        """Whether a byte of it has gone out."""
        self.content_ended = False
        self.complete = False
        self.offers_trailers = False
        """Whether the app has said that trailers come."""
        self.closes = request.closes
        """Whether the connection ends behind it; it says so if that is known when its head goes out."""
        self._head: bytes | None = None  # without its end
        self._says_close = False
        self._silent = False  # it has no content, whatever the app sends
        self._chunked = False
        self._left: int | None = None  # of its content, when that was announced
        self._trailers = False

    @property
    def started(self) -> bool:
        """Tell whether the app has given its head."""
        return self._head is not None

    @property
    def ends_with_connection(self) -> bool:
        """Tell whether it has begun and has no end but the connection's, so that breaking off would look whole."""
        return self.begun and not (self._silent or self._chunked or self._left is not None)

    @property
    def awaits_trailers(self) -> bool:
        """Tell whether only trailers are missing."""
        return self._trailers and self.content_ended and not self.complete

    def start(self, status: int, headers: Headers, added: Headers, *, trailers: bool = False) -> None:
        """Take the head: the app's fields, and the server's.

        Raises:
            ValueError: a name or a value would not stay on its line, a length is none, or it is no final status.
        """
        if not 200 <= status <= 999:
            raise ValueError(f"{status} is no status of an answer")
        headers = [(name.lower(), value) for name, value in headers if name.lower() != b"transfer-encoding"]
        lengths = [value for name, value in headers if name == b"content-length"]
        if len(lengths) > 1 or not all(map(LENGTH.fullmatch, lengths)):
            raise ValueError("the app's Content-Length is none")
        if status == 204:  # RFC 9110 §8.6
            headers = [field for field in headers if field[0] != b"content-length"]
        self._silent = status in (204, 304) or self.request.method == "HEAD"
        self._left = int(lengths[0]) if lengths and not self._silent else None
        self._chunked = self._left is None and not self._silent and self.request.version == "1.1"
        self._trailers = trailers and self._chunked and self.request.takes_trailers
        says_close = b"close" in options_of([value for name, value in headers if name == b"connection"])
        self.closes = self.closes or says_close or not (self._silent or lengths or self._chunked)
        self._says_close = says_close
        if self._chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        self.offers_trailers = trailers
        self._head = _beginning_of(status, [*headers, *added])

    def parts(self, content: bytes, *, last: bool) -> Iterator[bytes]:
        """Yield what to send for a part of the content, piece by piece, and for its end if it is the last.

        Raises:
            ValueError: it is more than was announced, or less.
        """
        if self._silent:
            content = b""
        elif self._left is not None:
            self._left -= len(content)
            if self._left < 0 or (last and self._left):
                raise ValueError("the app sends another length than its Content-Length says")
        for begin in range(0, len(content) or 1, PIECE_BYTES):
            piece = content[begin : begin + PIECE_BYTES]
            ends = last and begin + len(piece) == len(content)
            self.content_ended = ends
            self.complete = ends and not self._trailers
            yield self._with_head(self._chunk(piece, ends=ends) if self._chunked else piece)

    def _chunk(self, content: bytes, *, ends: bool) -> bytes:
        if content:
            content = b"%x\r\n%b\r\n" % (len(content), content)
        return content + (b"0\r\n" if self._trailers else b"0\r\n\r\n") if ends else content

    def trailers(self, headers: Headers, *, last: bool) -> bytes:
        """Return what to send for fields behind the content.

        Raises:
            ValueError: a name or a value would not stay on its line.
        """
        self.complete = last
        return _fields(headers) + (b"\r\n" if last else b"")

    def early_hint(self, links: Iterable[bytes]) -> bytes:
        """Return an interim answer with these values of `Link` (RFC 8297); nothing where HTTP/1.0 knows none.

        Raises:
            ValueError: a value would not stay on its line.
        """
        return head_of(103, [(b"link", link) for link in links]) if self.request.version == "1.1" else b""

    def _with_head(self, content: bytes) -> bytes:
        if self.begun:
            return content
        self.begun = True
        connection = b""
        if self.closes and not self._says_close:
            connection = b"connection: close\r\n"
        elif not self.closes and self.request.version == "1.0":
            connection = b"connection: keep-alive\r\n"
        return b"%b%b\r\n%b" % (self._head or b"", connection, content)


def head_of(status: int, headers: Headers) -> bytes:
    """Return an answer's head.

    Raises:
        ValueError: a name or a value would not stay on its line.
    """
    return _beginning_of(status, headers) + b"\r\n"


def _beginning_of(status: int, headers: Headers) -> bytes:
    return (_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status) + _fields(headers)


def _fields(headers: Headers) -> bytes:
    fields = b"".join([b"%b: %b\r\n" % (name, value) for name, value in headers])
    if _FIELDS_ALONE.fullmatch(fields) is None or fields.count(b"\n") != len(headers):
        raise ValueError("a header of the app would not stay on its line")
    return fields

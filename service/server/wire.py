"""HTTP/1.1 as it stands on the wire (RFC 9112): heads, bodies and their framing. Nothing here reads or writes.

Whatever two readers could take for different things is malformed: this grammar allows what is listed and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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
_FIELDS_ALONE = re.compile(_FIELDS)
_TRAILERS = re.compile(_FIELDS + rb"\r\n")
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?)*+\r\n")
_LENGTH = re.compile(rb"[0-9]{1,20}")
_NAME = rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]"
_HOST = re.compile(_NAME + rb"*)(?::[0-9]{0,5})?")
_AUTHORITY_FORM = re.compile(_NAME + rb"+):[0-9]{1,5}")
_ABSOLUTE_FORM = re.compile(rb"(https?)://(" + _NAME + rb"+)(?::[0-9]{0,5})?)(?=[/?]|\Z)/?", re.IGNORECASE)
_TOKEN_ALONE = re.compile(_TOKEN)
_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}
# Lines that end in a bare LF are no end of a head, but there is nothing more to wait for.
_END = re.compile(rb"\n\r?\n")
_RULING = frozenset(
    b"host content-length transfer-encoding connection expect te"
    b" upgrade sec-websocket-key sec-websocket-version".split()
)
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
    takes_trailers: bool
    asks_for_websocket: bool


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
    if method != method.upper():  # RFC 9110 §9.1: methods are case-sensitive
        raise Malformed
    headers: Headers = []
    ruling: dict[bytes, list[bytes]] = {}  # what says how to read the message
    for line in fields.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if name in _RULING:
            ruling.setdefault(name, []).append(value)
        if name != b"upgrade":  # of which the app is to know nothing, since nothing comes of it
            headers.append((name, value))
    options = _options(ruling.get(b"connection"))
    current = minor == b"1"
    expected = ruling.get(b"expect")
    return Request(
        method.decode(),
        _origin_form(method, target, _host(ruling.get(b"host"), current)),
        "1.1" if current else "1.0",
        headers,
        _body(ruling, current),
        closes=b"close" in options or method == b"CONNECT" or not (current or b"keep-alive" in options),
        awaits_continue=expected is not None and current and expected[0].lower() == b"100-continue",
        takes_trailers=b"te" in ruling and b"trailers" in _options(ruling[b"te"]),
        asks_for_websocket=b"upgrade" in ruling and current and _asks_for_websocket(method, options, ruling),
    )


def _host(hosts: list[bytes] | None, current: bool) -> bytes | None:
    """Return what `Host` says, which HTTP/1.1 has once, and HTTP/1.0 may do without."""
    if hosts is None:
        if current:
            raise Malformed
        return None
    if len(hosts) > 1 or _HOST.fullmatch(hosts[0]) is None:
        raise Malformed
    return hosts[0]


def _origin_form(method: bytes, target: bytes, host: bytes | None) -> bytes:
    """Return the target without an authority, which has to be `Host`'s: one of RFC 9112 §3.2's four forms."""
    if target.startswith(b"/") and method != b"CONNECT":
        return target
    if method == b"CONNECT":
        if _AUTHORITY_FORM.fullmatch(target) is None or host is None or target.lower() != host.lower():
            raise Malformed
        return target
    if (method, target) == (b"OPTIONS", b"*"):
        return target
    absolute = _ABSOLUTE_FORM.match(target)
    if absolute is None:
        raise Malformed
    port = _DEFAULT_PORTS[absolute[1].lower()]
    if host is not None and _without(port, absolute[2]) != _without(port, host):
        raise Malformed
    return b"/" + target[absolute.end() :]


def _without(port: bytes, authority: bytes) -> bytes:
    """Return an authority in lower case, and without its port where that is the one it would have anyway."""
    return authority.lower().removesuffix(port).removesuffix(b":")


def _body(ruling: dict[bytes, list[bytes]], current: bool) -> Body:
    """Find the framing: RFC 9112 §6.3, with all refused that it lets a server refuse: two framings, two lengths."""
    lengths, codings = ruling.get(b"content-length"), ruling.get(b"transfer-encoding")
    if codings is not None:
        if lengths is not None or not current:
            raise Malformed
        return _coded(b",".join(codings))
    if lengths is None:
        return SizedBody(0)
    if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
        raise Malformed
    return SizedBody(int(lengths[0]))


def _coded(codings: bytes) -> ChunkedBody:
    """Return the body behind these codings: chunked as the only one, since others are not known here (§6.1)."""
    if codings.lower() == b"chunked":
        return ChunkedBody()
    *others, last = [coding.strip(b" \t").lower() for coding in codings.split(b",")]
    well_formed = last == b"chunked" and b"chunked" not in others and all(map(_TOKEN_ALONE.fullmatch, others))
    raise Malformed(501 if well_formed else 400)


def _options(values: list[bytes] | None) -> list[bytes]:
    """Return the members of a list of tokens, as `Connection` has, in lower case."""
    return [option.strip(b" \t") for option in b",".join(values).lower().split(b",")] if values else []


def _asks_for_websocket(method: bytes, options: list[bytes], ruling: dict[bytes, list[bytes]]) -> bool:
    """Tell whether it is the whole of a WebSocket's handshake (RFC 6455 §4.2.1): what else upgrades is ignored."""
    return (
        method == b"GET"
        and b"upgrade" in options
        and [value.lower() for value in ruling[b"upgrade"]] == [b"websocket"]
        and ruling.get(b"sec-websocket-version") == [b"13"]
        and len(ruling.get(b"sec-websocket-key", ())) == 1
        and not ruling.keys() & {b"content-length", b"transfer-encoding", b"expect"}
    )


class Answer:
    """An answer's bytes: its head goes out with the first part of its content, in one write."""

    __slots__ = ("_chunked", "_head", "_left", "_silent", "_trailers", "begun", "closes", "complete", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.begun = False
        """Whether a byte of it has gone out."""
        self.complete = False
        self.closes = request.closes
        """Whether the connection ends behind it."""
        self._head: bytes | None = None
        self._silent = False  # it has no content, whatever the app sends
        self._chunked = False
        self._left: int | None = None  # of its content, when that was announced
        self._trailers = False

    @property
    def started(self) -> bool:
        """Tell whether the app has given its head."""
        return self._head is not None

    @property
    def awaits_trailers(self) -> bool:
        """Tell whether only trailers are missing."""
        return self._trailers and not self.complete

    def start(self, status: int, headers: Headers, added: Headers, *, trailers: bool = False) -> None:
        """Take the head: the app's fields, and the server's.

        Raises:
            ValueError: a name or a value would not stay on its line, a length is none, or it is no final status.
        """
        if not 200 <= status <= 999:
            raise ValueError(f"{status} is no status of an answer")
        headers = [(name.lower(), value) for name, value in headers if name.lower() != b"transfer-encoding"]
        lengths = [value for name, value in headers if name == b"content-length"]
        if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
            raise ValueError("the app's Content-Length is none")
        if status == 204:  # RFC 9110 §8.6
            headers = [field for field in headers if field[0] != b"content-length"]
        self._silent = status in (204, 304) or self.request.method == "HEAD"
        self._left = int(lengths[0]) if lengths and not self._silent else None
        self._chunked = self._left is None and not self._silent and self.request.version == "1.1"
        self._trailers = trailers and self._chunked and self.request.takes_trailers
        says_close = b"close" in _options([value for name, value in headers if name == b"connection"])
        self.closes = self.closes or says_close or not (self._silent or lengths or self._chunked)
        if self._chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        if self.closes and not says_close:
            headers.append((b"connection", b"close"))
        elif not self.closes and self.request.version == "1.0":
            headers.append((b"connection", b"keep-alive"))
        self._head = head(status, [*headers, *added])

    def part(self, content: bytes, *, last: bool) -> bytes:
        """Return what to send for a part of the content, and for its end if it is the last.

        Raises:
            ValueError: it is more than was announced, or less.
        """
        if self._silent:
            content = b""
        elif self._left is not None:
            self._left -= len(content)
            if self._left < 0 or (last and self._left):
                raise ValueError("the app sends another length than its Content-Length says")
        elif self._chunked:
            if content:
                content = b"%x\r\n%b\r\n" % (len(content), content)
            if last:
                content += b"0\r\n" if self._trailers else b"0\r\n\r\n"
        self.complete = last and not self._trailers
        return self._with_head(content)

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
        return head(103, [(b"link", link) for link in links]) if self.request.version == "1.1" else b""

    def _with_head(self, content: bytes) -> bytes:
        if self.begun:
            return content
        self.begun = True
        return (self._head or b"") + content


def head(status: int, headers: Headers) -> bytes:
    """Return an answer's head.

    Raises:
        ValueError: a name or a value would not stay on its line.
    """
    return (_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status) + _fields(headers) + b"\r\n"


def _fields(headers: Headers) -> bytes:
    fields = b"".join([b"%b: %b\r\n" % field for field in headers])
    if _FIELDS_ALONE.fullmatch(fields) is None or fields.count(b"\n") != len(headers):
        raise ValueError("a header of the app would not stay on its line")
    return fields


def _taken(buffer: bytearray, count: int) -> bytes:
    """Take so many bytes off the front, or as many as there are."""
    taken = bytes(buffer[:count])
    del buffer[:count]
    return taken

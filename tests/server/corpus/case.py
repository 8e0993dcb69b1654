"""What a case of the corpus is, and the bytes that most of them begin or end with."""

from __future__ import annotations

from dataclasses import dataclass

Verdict = tuple[int, ...]
"""The final statuses of a stream, in order: 200 for each request that reaches the app, and a refusal as the last."""

OK: Verdict = (200,)
BOTH: Verdict = (200, 200)
BAD: Verdict = (400,)
THEN_BAD: Verdict = (200, 400)
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
"""A request that shows where its reader takes the one before it to end."""


@dataclass(frozen=True)
class Case:
    """A stream of bytes up to its end, and what two readers make of it.

    ``rule`` is the number of an RFC, and the section in it that the verdict comes from. ``reason`` says why ours is
    another than h11's, and is empty where it is not. ``laxer`` is set where ours accepts more than h11's.
    """

    name: str
    sent: bytes
    ours: Verdict
    h11: Verdict
    rule: str = ""
    reason: str = ""
    laxer: bool = False


def line(request_line: bytes) -> bytes:
    """Return a request that is right but for its request line, and one behind it."""
    return request_line + b"\r\nHost: a\r\n\r\n" + NEXT


def fields(lines: bytes, content: bytes = b"") -> bytes:
    """Return a request with these lines behind its `Host`, and another one behind its content."""
    return b"POST / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n\r\n" + content + NEXT


def old(lines: bytes, content: bytes = b"") -> bytes:
    """Return a request in HTTP/1.0 with these lines and this content."""
    return b"POST / HTTP/1.0\r\n" + lines + b"\r\n\r\n" + content


def host(value: bytes) -> bytes:
    """Return a request with this value of `Host`, and one behind it."""
    return b"GET / HTTP/1.1\r\nHost: " + value + b"\r\n\r\n" + NEXT


def chunked(content: bytes) -> bytes:
    """Return a request with this as its chunked content, and one behind it."""
    return fields(b"Transfer-Encoding: chunked", content)

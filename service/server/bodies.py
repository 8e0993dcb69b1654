"""Bodies of requests as they come over the wire (RFC 9112 §6 and §7)."""

from __future__ import annotations

import re
from typing import Protocol

from service.server.grammar import END, FIELDS, TOKEN, Malformed

CHUNK_LINE_BYTES = 256
CHUNKS, CHUNK_BYTES = 4096, 32
"""A body of more chunks than this has so many bytes in each on average, or it would be dearer than its size."""
TRAILER_BYTES = 16 * 1024

_TRAILERS = re.compile(FIELDS + rb"\r\n")
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;" + TOKEN + rb"(?:=(?:" + TOKEN + rb"|" + _QUOTED + rb"))?)*+\r\n")


class Body(Protocol):
    """A request's body on its way in."""

    @property
    def left(self) -> int | None:
        """Return how many bytes of it are to come; None where that is not known."""

    def take(self, buffer: bytearray) -> tuple[bytes, bool]:
        """Take off the buffer what belongs to the body; return its content, and whether that was all.

        Raises:
            Malformed: its framing is broken.
        """


class SizedBody:
    """A body whose length was announced; none has the length 0."""

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def left(self) -> int:
        """Return how many bytes of it are to come."""
        return self._left

    def take(self, buffer: bytearray) -> tuple[bytes, bool]:
        """Take off what has come, and no byte of what stands behind the body."""
        data = _taken(buffer, self._left)
        self._left -= len(data)
        return data, not self._left


class ChunkedBody:
    """A body in chunks (RFC 9112 §7.1). Extensions and trailers have to be right, and are dropped."""

    left = None

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
        end = END.search(buffer)
        if len(buffer) > TRAILER_BYTES and (end is None or end.end() > TRAILER_BYTES):
            raise Malformed(431)
        if end is not None and _TRAILERS.fullmatch(_taken(buffer, end.end())) is None:
            raise Malformed
        return end is not None


def _taken(buffer: bytearray, count: int) -> bytes:
    """Take so many bytes off the front, or as many as there are."""
    taken = bytes(buffer[:count])
    del buffer[:count]
    return taken

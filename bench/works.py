"""Kinds of work: the requests that a load asks in turn, each with what is seen of its answer at a glance.

Here are those of `bench.bare_app`; those of the API are in `bench.api_works`.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.bare_app import LARGE, SMALL

FIELDS = "Host: 127.0.0.1\r\nUser-Agent: postern-bench\r\nAccept: */*\r\n"


_LENGTH = b"\r\ncontent-length:"


class Malformed(Exception):
    """An answer is not what was expected: it says what it is instead."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request, whole; the status of its answer, as it stands in the head; the length of the body, if it is known."""

    sent: bytes
    status: bytes = b"200"
    length: int | None = None

    def read(self, head: bytes) -> tuple[int, bool]:
        """Return the body's length that the head of an answer says, and whether the connection ends with it.

        Raises:
            Malformed: the status is another than expected, or the length is, or it has none.
        """
        if head[9:12] != self.status:
            raise Malformed(f"status {head[9:12].decode(errors='replace')}")
        lowered = head.lower()
        at = lowered.find(_LENGTH)
        said = lowered[at + len(_LENGTH) :].partition(b"\r\n")[0].strip()
        if at < 0 or not said.isdigit():
            raise Malformed("no length")
        length = int(said)
        if self.length not in (None, length):
            raise Malformed("another length")
        return length, b"\r\nconnection: close" in lowered or lowered.startswith(b"http/1.0")


@dataclass(frozen=True, slots=True)
class Work:
    """Requests that are asked one after the other, and again from the first."""

    name: str
    title: str
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class BareWork(Work):
    """A request of the bare application, and the body of its answer."""

    answer: bytes


def _bare(name: str, title: str, head: str, *, answer: bytes, body: bytes = b"") -> BareWork:
    sent = f"{head} HTTP/1.1\r\n{FIELDS}{f'Content-Length: {len(body)}' if body else ''}".encode()
    sent += (b"\r\n\r\n" if body else b"\r\n") + body
    return BareWork(name, title, (Request(sent, length=len(answer)),), answer)


WORKS = {
    work.name: work
    for work in (
        _bare("small", "Small answers", "GET /small", answer=SMALL),
        _bare("large", "64 KiB answers", "GET /large", answer=LARGE),
        _bare("upload", "10 KiB uploads", "POST /upload", answer=b"10240", body=b"u" * 10240),
    )
}

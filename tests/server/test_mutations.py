"""100,000 streams of bytes that nobody meant, over real sockets: what they leave behind."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
from pathlib import Path
from typing import Any

from service.server.http1 import HTTP1
from tests.server.corpus import CASES
from tests.support.http1 import read_body
from tests.support.served import Listening

STREAMS, AT_ONCE, SEED = 100_000, 50, 5
PIECES = [
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b";", b"0\r\n\r\n", b"\xff", b"%", b"Content-Length: 3\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Host: a\r\n", b"GET / HTTP/1.1\r\n", b"Connection: close\r\n", b"\r\n\r\n"),
    *(b"Expect: 100-continue\r\n", b"HTTP/1.0", b"ffffffffffffffff\r\n", b"Connection: keep-alive\r\n"),
]


def mutated(chance: random.Random) -> bytes:
    """Return one case of the corpus, or two behind each other, with some changes."""
    stream = bytearray(b"".join(case.sent for case in chance.choices(CASES, k=chance.choice((1, 1, 2))))[:3000])
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(stream) + 1)
        match chance.randrange(4):
            case 0:
                stream[at:at] = chance.choice(PIECES)
            case 1:
                del stream[at : at + chance.randrange(1, 8)]
            case 2:
                stream[at : at + 1] = bytes([chance.randrange(256)])
            case _:
                del stream[at:]
    return bytes(stream)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = await read_body(receive)
    if body is not None:
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def ask(listening: Listening, stream: bytes, cut: int) -> bytes:
    """Send a stream in two pieces, and nothing after it; return all that comes back."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours:
        await loop.connect_accepted_socket(lambda: HTTP1(listening.worker), theirs)
        received = b""
        try:
            await loop.sock_sendall(ours, stream[:cut])
            await asyncio.sleep(0)
            await loop.sock_sendall(ours, stream[cut:])
            ours.shutdown(socket.SHUT_WR)
        except BrokenPipeError:  # it has been refused already
            pass
        while data := await loop.sock_recv(ours, 65536):
            received += data
    return received


async def settled() -> tuple[int, int]:
    """Count tasks and descriptors, once what is about to end has ended."""
    for _ in range(20):
        await asyncio.sleep(0)
    gc.collect()
    return census()


def census() -> tuple[int, int]:
    return len(asyncio.all_tasks()), len(list(Path("/proc/self/fd").iterdir()))


async def test_a_hundred_thousand_mutations_leave_nothing_behind() -> None:
    loop, chance, faults = asyncio.get_running_loop(), random.Random(SEED), list[Any]()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    listening = Listening(echo)
    statuses = set[bytes]()

    async def client() -> None:
        for _ in range(STREAMS // AT_ONCE):
            stream = mutated(chance)
            answer = await ask(listening, stream, chance.randrange(len(stream) + 1))
            assert answer == b"" or answer.startswith(b"HTTP/1.1 "), (stream, answer)
            statuses.add(answer[9:12])

    try:
        await asyncio.gather(*[client() for _ in range(2)])
        before = await settled()
        await asyncio.gather(*[client() for _ in range(AT_ONCE - 2)])
        assert await settled() == before
        assert not faults
        assert {b"200", b"400", b"431", b"501", b"414", b""} >= statuses - {b"100"}
        assert {b"200", b"400", b"501"} <= statuses
    finally:
        loop.set_exception_handler(None)
        await listening.stop()

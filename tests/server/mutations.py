"""Streams of bytes that nobody meant, over real sockets: what they leave behind.

`python -m tests.server.mutations COUNT LOOP` sends so many, LOOP being `uvloop` or `asyncio`, in a process of its own:
measuring its coverage would be what takes the time. It fails if a task, a descriptor or an exception is left.
"""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import sys
from pathlib import Path
from typing import Any

import uvloop
from service.server.http1 import HTTP1
from tests.server.corpus import CASES
from tests.support.http1 import read_body
from tests.support.served import Listening

AT_ONCE, SEED = 50, 5
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


async def main(count: int) -> None:
    """Send so many streams, and look at what is left."""
    loop, chance, faults = asyncio.get_running_loop(), random.Random(SEED), list[Any]()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    listening = Listening(echo)
    statuses = set[bytes]()

    async def client(streams: int) -> None:
        for _ in range(streams):
            stream = mutated(chance)
            answer = await ask(listening, stream, chance.randrange(len(stream) + 1))
            assert answer == b"" or answer.startswith(b"HTTP/1.1 "), (stream, answer)
            statuses.add(answer[9:12])

    await asyncio.gather(*[client(100) for _ in range(AT_ONCE)])
    before = await settled()
    await asyncio.gather(*[client(count // AT_ONCE) for _ in range(AT_ONCE)])
    assert await settled() == before
    assert not faults, faults
    assert {b"200", b"400", b"501"} <= statuses <= {b"200", b"400", b"431", b"501", b"414", b"100", b""}, statuses
    await listening.stop()


if __name__ == "__main__":
    factory = uvloop.new_event_loop if sys.argv[2] == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main(int(sys.argv[1])))
    print(f"{sys.argv[1]} streams on {sys.argv[2]} left nothing behind")

"""How long 1,000 requests of a view that waits 100 ms take in one process: `python -m bench.bridge_concurrency`.

Exits with 1 when a request failed or the bridge added a thread or a loop; never for a time. asgiref's WsgiToAsgi
answers one after another, so it gets 20, and what 1,000 would take (marked ~) is 50 times that.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import sys
import threading
import time
from typing import Any

import uvloop
from asgiref.wsgi import WsgiToAsgi
from flask import Flask
from hypercorn.asyncio import serve as serve_with_hypercorn
from hypercorn.config import Config
from service.asgi import ASGIBridge
from tests.support.asgi import fetch

REQUESTS, ROW = 1000, "{:<22}{:>9}{:>8}{:>12}{:>10}{:>7}{:>15}"
Seen = set[tuple[int, int]]  # the loop's id and the number of threads, at each request


def waiting_app(seen: Seen) -> Flask:
    app = Flask("waiting")

    @app.get("/")
    async def wait() -> str:
        seen.add((id(asyncio.get_running_loop()), threading.active_count()))
        await asyncio.sleep(0.1)
        return "done"

    return app


def report(name: str, answers: list[bool], seconds: float, seen: Seen, threads_before: int) -> bool:
    """Print a row; return whether all went well."""
    requests, loops, added = len(answers), len({loop for loop, _ in seen}), max(n for _, n in seen) - threads_before
    per_thousand = f"{'~' * (requests < 1000)}{seconds * 1000 / requests:.2f} s"
    print(ROW.format(name, requests, answers.count(False), f"{seconds:.2f} s", per_thousand, loops, added))
    return (all(answers), loops, added) == (True, 1, 0)


async def on_messages(name: str, wrap: Any, requests: int) -> bool:
    threads_before, seen = threading.active_count(), Seen()
    asgi, started = wrap(waiting_app(seen)), time.perf_counter()
    wires = await asyncio.gather(*(fetch(asgi) for _ in range(requests)))
    return report(name, [wire.body == b"done" for wire in wires], time.perf_counter() - started, seen, threads_before)


def serve(listener: socket.socket, parent: Any) -> None:
    """Serve until the parent writes, then tell it what the app has seen."""
    threads_before, seen, config, stop = threading.active_count(), Seen(), Config(), asyncio.Event()
    config.bind, config.errorlog, config.backlog = [f"fd://{listener.detach()}"], None, 2 * REQUESTS
    asgi: Any = ASGIBridge(waiting_app(seen))  # Hypercorn has ASGI types of its own

    async def main() -> None:
        asyncio.get_running_loop().add_reader(parent.fileno(), stop.set)
        await serve_with_hypercorn(asgi, config, shutdown_trigger=stop.wait, mode="asgi")

    uvloop.run(main())
    parent.send((seen, threads_before))


async def fetch_over_socket(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    return answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"done")


async def over_sockets() -> bool:
    listener, (ours, theirs) = socket.create_server(("127.0.0.1", 0), backlog=2 * REQUESTS), multiprocessing.Pipe()
    port = listener.getsockname()[1]
    multiprocessing.get_context("spawn").Process(target=serve, args=(listener, theirs), daemon=True).start()
    await fetch_over_socket(port)  # the server is up once this is answered
    started = time.perf_counter()
    answers = await asyncio.gather(*(fetch_over_socket(port) for _ in range(REQUESTS)), return_exceptions=True)
    ours.send("stop")
    return report("bridge, Hypercorn", [a is True for a in answers], time.perf_counter() - started, *ours.recv())


async def main() -> int:
    print(ROW.format("", "requests", "failed", "wall", "per 1,000", "loops", "threads added"))
    well = True
    for _ in range(2):  # in turn, so that a busy machine is unfair to neither
        well &= await on_messages("bridge, messages", ASGIBridge, REQUESTS)
        await on_messages("WsgiToAsgi, messages", WsgiToAsgi, 20)
    return int(not (await over_sockets() and well))


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))

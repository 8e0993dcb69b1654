"""What 500 logins at once cost everybody else: `python -m bench.login_storm`.

Phases in turn, in one run: quiet, crowd, storm. In each, GET /api/auth/me is asked for at a steady pace, on a schedule
of its own, so that a slow answer delays no later request. In a crowd 500 clients ask for /livez at the same moment,
each five times, a second apart: what so many requests cost that hash nothing. In a storm they log in; one that gets 503
waits as `Retry-After` says and tries again until it is in. The clients have a process of their own, for their work not
to be taken for the server's. Exits with 1 when a request failed; never for a time.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import alembic.command
import alembic.config
import uvloop
from service.embedded import Cluster
from tests.support.processes import PROGRAMS, ROOT, Running, environment, running

CLIENTS, PACE, ROUNDS, SECONDS = 500, 200, 3, 8
PASSWORD = "a password of the benchmark"
ROW = "{:<8}{:>9}{:>8}{:>9}{:>9}{:>9}{:>9}{:>10}   {}"


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        """Send a request; return the answer's status, headers and body."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in head[1:-2])}
        return int(head[0].split()[1]), headers, await reader.readexactly(int(headers.get(b"content-length", 0)))

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


def posted(path: str, document: dict[str, str]) -> bytes:
    body = json.dumps(document).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


LOGIN = posted("/api/auth/login", {"email": "ann@example.com", "password": PASSWORD})


async def log_in(port: int, answers: Counter[int]) -> None:
    """Log in at last."""
    client = Client(port)
    try:
        for _ in range(60):
            status, headers, _ = await client.ask(LOGIN)
            answers[status] += 1
            if status != 503:
                return
            await asyncio.sleep(int(headers[b"retry-after"]))
    finally:
        client.close()


async def probe(port: int, me: bytes, stop: asyncio.Event, statuses: Counter[int]) -> list[float]:
    """Ask at a steady pace until told to stop; return the seconds from when each request was due to its answer."""
    latencies: list[float] = []
    idle = [Client(port) for _ in range(20)]

    async def one(due: float) -> None:
        client = idle.pop() if idle else Client(port)
        status, _, _ = await client.ask(me)
        latencies.append(time.perf_counter() - due)
        statuses[status] += 1
        idle.append(client)

    due, asked = time.perf_counter(), []
    while not stop.is_set():
        asked.append(asyncio.create_task(one(due)))
        due += 1 / PACE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    await asyncio.gather(*asked)
    for client in idle:
        client.close()
    return latencies


async def phase(port: int, me: bytes, clients: str) -> tuple[list[float], Counter[int], Counter[int], float]:
    """Return the probes' seconds and statuses, the clients' statuses, and the seconds it took."""
    stop, statuses, answers = asyncio.Event(), Counter[int](), Counter[int]()
    probing = asyncio.create_task(probe(port, me, stop, statuses))
    started = time.perf_counter()
    if clients != "quiet":
        command = (sys.executable, "-m", "bench.login_storm", clients, str(port))
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        told, _ = await process.communicate()
        answers.update({int(status): count for status, count in json.loads(told).items()})
    await asyncio.sleep(max(0.0, SECONDS - (time.perf_counter() - started)))
    stop.set()
    return await probing, statuses, answers, time.perf_counter() - started


async def measure(server: Running) -> int:
    client = Client(server.port)
    await client.ask(posted("/api/users/", {"username": "ann", "email": "ann@example.com", "password": PASSWORD}))
    token = json.loads((await client.ask(LOGIN))[2])["access_token"]
    me = f"GET /api/auth/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    print(
        ROW.format("phase", "requests", "failed", "p50 ms", "p95 ms", "p99 ms", "max ms", "seconds", "the clients got")
    )
    p99s: dict[str, list[float]] = {"quiet": [], "crowd": [], "storm": []}
    failed = 0
    for _ in range(ROUNDS):
        for clients, p99 in p99s.items():
            latencies, statuses, answers, seconds = await phase(server.port, me, clients)
            cuts = [1000 * cut for cut in statistics.quantiles(latencies, n=100)]
            wrong = len(latencies) - statuses[200]
            failed += wrong + (CLIENTS - answers[200]) * (clients == "storm")
            shown = [f"{value:.1f}" for value in (cuts[49], cuts[94], cuts[98], 1000 * max(latencies), seconds)]
            print(ROW.format(clients, len(latencies), wrong, *shown, dict(answers) or ""))
            p99.append(cuts[98])
    quiet, crowd, storm = (statistics.median(values) for values in p99s.values())
    print(f"median p99: storm to quiet {storm / quiet:.2f}, crowd to quiet {crowd / quiet:.2f}", end=", ")
    print(f"storm to crowd {storm / crowd:.2f}")
    return int(failed > 0)


async def ask_five_times(port: int, answers: Counter[int]) -> None:
    client = Client(port)
    for _ in range(5):
        status, _, _ = await client.ask(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        answers[status] += 1
        await asyncio.sleep(1)
    client.close()


async def all_at_once(clients: str, port: int) -> Counter[int]:
    """Let all clients do what they do; count the answers by status."""
    answers, one = Counter[int](), ask_five_times if clients == "crowd" else log_in
    await asyncio.gather(*(one(port, answers) for _ in range(CLIENTS)))
    return answers


def main() -> int:
    if sys.argv[1:]:
        print(json.dumps(uvloop.run(all_at_once(sys.argv[1], int(sys.argv[2])))))
        return 0
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder) / "postgres", ephemeral=True) as cluster:
        cluster.ensure_database()
        config = alembic.config.Config(ROOT / "alembic.ini", attributes={"database_url": cluster.url()})
        alembic.command.upgrade(config, "head")
        secret = os.urandom(32).hex()
        env = environment(APP_ENV="production", SECRET_KEY=secret, DATABASE_URL=cluster.url(), LOG_LEVEL="WARNING")
        command = (PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0")
        with running(*command, folder=Path(folder), env=env) as server:
            return uvloop.run(measure(server))


if __name__ == "__main__":
    sys.exit(main())

"""What 500 logins at once cost everybody else: `python -m bench.login_storm`.

Phases in turn, in one run: quiet and storm. In both, GET /api/auth/me is asked for at a steady pace, on a schedule of
its own, so that a slow answer delays no later request. In a storm 500 clients log in at the same moment; one that gets
503 waits as `Retry-After` says and tries again until it is in. Exits with 1 when a request failed; never for a time.
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

LOGINS, PACE, ROUNDS, QUIET_SECONDS = 500, 200, 4, 4
PASSWORD = "a password of the benchmark"
ROW = "{:<8}{:>9}{:>8}{:>10}{:>10}{:>10}{:>10}{:>12}"


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


async def phase(port: int, me: bytes, *, stormy: bool) -> tuple[list[float], Counter[int], Counter[int], float]:
    stop, statuses, answers = asyncio.Event(), Counter[int](), Counter[int]()
    probing = asyncio.create_task(probe(port, me, stop, statuses))
    started = time.perf_counter()
    if stormy:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.login_storm", str(port), stdout=-1)
        told, _ = await process.communicate()
        answers.update({int(status): count for status, count in json.loads(told).items()})
    else:
        await asyncio.sleep(QUIET_SECONDS)
    stop.set()
    return await probing, statuses, answers, time.perf_counter() - started


async def measure(server: Running) -> int:
    client = Client(server.port)
    await client.ask(posted("/api/users/", {"username": "ann", "email": "ann@example.com", "password": PASSWORD}))
    token = json.loads((await client.ask(LOGIN))[2])["access_token"]
    me = f"GET /api/auth/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    print(ROW.format("phase", "requests", "failed", "p50 ms", "p99 ms", "max ms", "seconds", "logins/503"))
    ratios, failed, quiet_p99 = [], 0, 0.0
    for number in range(2 * ROUNDS):
        stormy = number % 2 == 1
        latencies, statuses, answers, seconds = await phase(server.port, me, stormy=stormy)
        cuts = [1000 * cut for cut in statistics.quantiles(latencies, n=100)]
        failed += sum(statuses.values()) - statuses[200] + (LOGINS - answers[200]) * stormy
        told = f"{answers[200]}/{answers[503]}" if stormy else ""
        figures = (cuts[49], cuts[98], 1000 * max(latencies), seconds)
        shown = [f"{figure:.1f}" for figure in figures]
        print(ROW.format("storm" if stormy else "quiet", len(latencies), len(latencies) - statuses[200], *shown, told))
        if stormy:
            ratios.append(cuts[98] / quiet_p99)
        quiet_p99 = cuts[98]
    print(f"p99 in a storm to the quiet before it: {', '.join(f'{ratio:.2f}' for ratio in ratios)}", end="; ")
    print(f"median {statistics.median(ratios):.2f}")
    return int(failed > 0)


async def storm(port: int) -> Counter[int]:
    """Log in with all clients at once, in a process of their own; count the answers by status."""
    answers = Counter[int]()
    await asyncio.gather(*(log_in(port, answers) for _ in range(LOGINS)))
    return answers


def main() -> int:
    if sys.argv[1:]:
        print(json.dumps(uvloop.run(storm(int(sys.argv[1])))))
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

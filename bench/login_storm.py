"""What 500 logins at once cost everybody else: `python -m bench.login_storm`.

Two phases in turn, in one run: quiet, and a storm. In both, GET /api/auth/me is asked for at a steady pace over
connections that are open, on a schedule of its own, so that a slow answer delays no later request. In a storm 500
clients connect and log in at the same moment; one that gets 503 waits as `Retry-After` says and tries again until it
is in. The clients have a process of their own, for their work not to be taken for the server's. A first storm is not
counted. Exits with 1 when a request failed; never for a time.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path

import alembic.command
import alembic.config
import uvloop
from service.embedded import Cluster
from service.server import heap
from tests.support.processes import PROGRAMS, ROOT, Running, environment, running

CLIENTS, CONNECTIONS, PACE, ROUNDS, SECONDS = 500, 100, 50, 5, 12
PASSWORD = "a password of the benchmark"
ROW = "{:<8}{:>9}{:>8}{:>9}{:>9}{:>9}{:>9}{:>10}   {}"


@dataclass(frozen=True, slots=True)
class Phase:
    """What came of a phase: the seconds of each probe, how many failed, how long it took, what the clients got."""

    latencies: list[float]
    failed: int
    seconds: float
    clients_got: Counter[int]


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


async def probe(port: int, me: bytes, stop: asyncio.Event) -> tuple[list[float], int]:
    """Ask at a steady pace until told to stop; return the seconds from when each request was due to its answer, and
    how many failed.
    """
    idle = deque(Client(port) for _ in range(CONNECTIONS))
    for client in idle:
        await client.ask(me)
    latencies, statuses = list[float](), Counter[int]()

    async def one(due: float) -> None:
        client = idle.popleft()
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
    return latencies, statuses.total() - statuses[200]


async def quiet(port: int, me: bytes) -> Phase:
    """Ask while nobody else does."""
    stop = asyncio.Event()
    probing = asyncio.create_task(probe(port, me, stop))
    await asyncio.sleep(SECONDS)
    stop.set()
    return Phase(*await probing, SECONDS, Counter())


async def storm(port: int, me: bytes) -> Phase:
    """Ask while the clients log in, from the first to the last."""
    command = (sys.executable, "-m", "bench.login_storm", str(port))
    clients = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert clients.stdout is not None
    await clients.stdout.readline()  # it is there: what its start costs is no part of the storm
    stop = asyncio.Event()
    probing = asyncio.create_task(probe(port, me, stop))
    await asyncio.sleep(1)
    began = time.perf_counter()
    told, _ = await clients.communicate(b"go\n")
    seconds = time.perf_counter() - began
    stop.set()
    latencies, failed = await probing
    return Phase(
        latencies, failed, seconds, Counter({int(status): count for status, count in json.loads(told).items()})
    )


async def measure(server: Running) -> int:
    """Print the phases; return 1 when a request failed."""
    client = Client(server.port)
    await client.ask(posted("/api/users/", {"username": "ann", "email": "ann@example.com", "password": PASSWORD}))
    token = json.loads((await client.ask(LOGIN))[2])["access_token"]
    me = f"GET /api/auth/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    heap.freeze()  # what the collector would do here is not the server's doing
    print(
        ROW.format("phase", "requests", "failed", "p50 ms", "p95 ms", "p99 ms", "max ms", "seconds", "the clients got")
    )
    show("first", await storm(server.port, me))  # its pool fills, its statements are compiled: not counted
    ratios, everything, failed = list[float](), {"quiet": list[float](), "storm": list[float]()}, 0
    for _ in range(ROUNDS):
        p99s = []
        for name, phase in (("quiet", await quiet(server.port, me)), ("storm", await storm(server.port, me))):
            p99s.append(show(name, phase))
            everything[name] += phase.latencies
            failed += phase.failed + (CLIENTS - phase.clients_got[200]) * (name == "storm")
        ratios.append(p99s[1] / p99s[0])
    together = [show(name, Phase(latencies, 0, 0, Counter())) for name, latencies in everything.items()]
    print(f"p99, storm to quiet: {together[1] / together[0]:.2f} of all together;", end=" ")
    print(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) of the rounds")
    return int(failed > 0)


def show(name: str, phase: Phase) -> float:
    """Print a row; return the p99 in milliseconds."""
    cuts = statistics.quantiles((1000 * seconds for seconds in phase.latencies), n=100)
    shown = [f"{value:.1f}" for value in (cuts[49], cuts[94], cuts[98], 1000 * max(phase.latencies), phase.seconds)]
    print(ROW.format(name, len(phase.latencies), phase.failed, *shown, dict(phase.clients_got) or ""), flush=True)
    return cuts[98]


async def all_at_once(port: int) -> Counter[int]:
    """Let all clients log in; count the answers by status."""
    answers = Counter[int]()
    await asyncio.gather(*(log_in(port, answers) for _ in range(CLIENTS)))
    return answers


def main() -> int:
    if sys.argv[1:]:
        heap.freeze()
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(uvloop.run(all_at_once(int(sys.argv[1])))))
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

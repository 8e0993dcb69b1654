"""What 500 logins at once cost everybody else: `python -m bench.login_storm`.

Three phases in turn, in one run: quiet, a storm of new clients, and one of clients that have their connections open. In
each, GET /api/auth/me is asked for at a steady pace over connections that are open, on a schedule of its own, so that a
slow answer delays no later request. In a storm 500 clients log in at the same moment, each from an address of its own,
with the limits of rate and the lock on as by default; one that gets 503 waits as `Retry-After` says and tries again
until it is in. The clients have a process of their own, for their work not to be taken for the server's. The first
storms are not counted. Exits with 1 when a request failed; never for a time.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
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
KINDS = ("new", "open")
ROW = "{:<11}{:>9}{:>8}{:>9}{:>9}{:>9}{:>9}{:>10}   {}"


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


def posted(path: str, document: dict[str, str], address: str = "192.0.2.1") -> bytes:
    body = json.dumps(document).encode()
    fields = f"Host: a\r\nX-Forwarded-For: {address}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"POST {path} HTTP/1.1\r\n{fields}\r\n\r\n".encode() + body


def login(address: str) -> bytes:
    return posted("/api/auth/login", {"email": "ann@example.com", "password": PASSWORD}, address)


class Gate:
    """Where clients wait for each other."""

    def __init__(self, clients: int) -> None:
        self._missing = clients
        self._open = asyncio.Event()

    async def pass_through(self) -> None:
        """Wait for the last one, and for a second more, in which what has been asked is done with."""
        self._missing -= 1
        if not self._missing:
            await asyncio.sleep(1)
            self._open.set()
        await self._open.wait()


async def log_in(port: int, address: str, gate: Gate | None, answers: Counter[int]) -> None:
    """Log in at last, at the same moment as those who wait at the gate, over a connection that has been used."""
    client = Client(port)
    request = login(address)
    try:
        if gate is not None:
            await client.ask(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            await gate.pass_through()
        for _ in range(60):
            status, headers, _ = await client.ask(request)
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
        assert idle, "no connection is free: the pace is too much for the server"
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


async def storm(port: int, me: bytes, kind: str) -> Phase:
    """Ask while the clients log in, from the first to the last."""
    command = (sys.executable, "-m", "bench.login_storm", str(port), kind)
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
    token = json.loads((await client.ask(login("192.0.2.1")))[2])["access_token"]
    me = f"GET /api/auth/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    heap.freeze()  # what the collector would do here is not the server's doing
    print(
        ROW.format("phase", "requests", "failed", "p50 ms", "p95 ms", "p99 ms", "max ms", "seconds", "the clients got")
    )
    for kind in KINDS:
        show(f"first {kind}", await storm(server.port, me, kind))  # pools fill, statements are compiled: not counted
    ratios = {kind: list[float]() for kind in KINDS}
    everything, failed = {name: list[float]() for name in ("quiet", *KINDS)}, 0
    for _ in range(ROUNDS):
        calm = await quiet(server.port, me)
        everything["quiet"] += calm.latencies
        usual = show("quiet", calm)
        for kind in KINDS:
            phase = await storm(server.port, me, kind)
            ratios[kind].append(show(kind, phase) / usual)
            everything[kind] += phase.latencies
            failed += calm.failed + phase.failed + CLIENTS - phase.clients_got[200]
    together = {name: show(name, Phase(latencies, 0, 0, Counter())) for name, latencies in everything.items()}
    for kind, of_rounds in ratios.items():
        print(f"p99, {kind} to quiet: {together[kind] / together['quiet']:.2f} of all together;", end=" ")
        print(f"{statistics.median(of_rounds):.2f} ({min(of_rounds):.2f} to {max(of_rounds):.2f}) of the rounds")
    return int(failed > 0)


def show(name: str, phase: Phase) -> float:
    """Print a row; return the p99 in milliseconds."""
    cuts = statistics.quantiles((1000 * seconds for seconds in phase.latencies), n=100)
    shown = [f"{value:.1f}" for value in (cuts[49], cuts[94], cuts[98], 1000 * max(phase.latencies), phase.seconds)]
    print(ROW.format(name, len(phase.latencies), phase.failed, *shown, dict(phase.clients_got) or ""), flush=True)
    return cuts[98]


async def all_at_once(port: int, kind: str) -> Counter[int]:
    """Let all clients log in; count the answers by status."""
    answers = Counter[int]()
    gate = Gate(CLIENTS) if kind == "open" else None
    addresses = [f"198.{18 + number // 250}.{number % 250}.{random.randint(1, 250)}" for number in range(CLIENTS)]
    await asyncio.gather(*(log_in(port, address, gate, answers) for address in addresses))
    return answers


def main() -> int:
    if sys.argv[1:]:
        heap.freeze()
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(uvloop.run(all_at_once(int(sys.argv[1]), sys.argv[2]))))
        return 0
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder) / "postgres", ephemeral=True) as cluster:
        cluster.ensure_database()
        config = alembic.config.Config(ROOT / "alembic.ini", attributes={"database_url": cluster.url()})
        alembic.command.upgrade(config, "head")
        secret = os.urandom(32).hex()
        limits = {"RATE_LIMIT_ENABLED": "true", "TRUSTED_PROXIES": "1", "LOG_LEVEL": "WARNING"}
        env = environment(APP_ENV="production", SECRET_KEY=secret, DATABASE_URL=cluster.url(), **limits)
        command = (PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0")
        with running(*command, folder=Path(folder), env=env) as server:
            return uvloop.run(measure(server))


if __name__ == "__main__":
    sys.exit(main())

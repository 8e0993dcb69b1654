"""Break things under a service that is being written to, again and again, and see that nothing of it is lost.

Usage: python -m tests.faults [--rounds N] [--seed N]. A durable PostgreSQL, two processes under a supervisor, eight
clients that write. Each round one of four things happens, in turn: a process of the service is killed; PostgreSQL is,
and started again; it is frozen for longer than a statement may take, and goes on; all connections to it are ended. Then
the round waits until the clients are acknowledged again.

At the end everything that was acknowledged has to be there, once; nothing that was repeated under an Idempotency-Key
may be there twice; no connection may be in a transaction; the descriptors, threads and tasks of the processes have to
be what they were. Figures are printed; exits with 1 when one of these is not so, or recovery took longer than it may.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.database import OURS, Database
from tests.faults.writers import CLIENTS, Written, writing
from tests.support.processes import PROGRAMS, Running, children_of, environment, running, unmeasured, wait_until
from tests.support.sockets import ask

ROUNDS, WORKERS = 100, 2
STATEMENT_SECONDS, FROZEN_SECONDS = 1.0, 3.0
RECOVERY_SECONDS = 2.0
"""From when the database is there again to the first write that is acknowledged."""
PROMPT_SECONDS = 2.0
"""How much later than its time-outs an answer may come."""
TIME_OUT_SECONDS = STATEMENT_SECONDS + 1  # the driver's, of a server that does not answer
REST_SECONDS, NOISE_SECONDS = 0.3, 1.0
SPARE_DESCRIPTORS = 2 * 10
"""A pool's connections come and go."""


@dataclass
class Service:
    """What is broken, and who writes to it meanwhile."""

    database: Database
    server: Running
    written: Written
    recoveries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    slowest: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def kill_a_process(self) -> float:
        """Kill one of those that serve."""
        os.kill(random.choice(self.workers()), signal.SIGKILL)
        return time.monotonic()

    def kill_postgresql(self) -> float:
        """Kill PostgreSQL; start it again a moment later."""
        self.database.kill()
        time.sleep(REST_SECONDS)
        self.database.start()
        return time.monotonic()

    def freeze_postgresql(self) -> float:
        """Stop PostgreSQL for longer than a statement may take, and continue it."""
        self.database.freeze()
        time.sleep(FROZEN_SECONDS)
        self.database.thaw()
        return time.monotonic()

    def end_connections(self) -> float:
        """End all connections of the service."""
        asyncio.run(self.database.reset())
        return time.monotonic()

    def workers(self) -> list[int]:
        """Return the processes that serve."""
        return children_of(self.server.process.pid)

    def whole(self) -> bool:
        """Tell whether all processes serve, so far as one can see from outside."""
        return len(self.workers()) == WORKERS and ask(self.server, "GET", "/readyz").status == 200


FAULTS: dict[str, Callable[[Service], float]] = {
    "a process killed": Service.kill_a_process,
    "PostgreSQL killed": Service.kill_postgresql,
    "PostgreSQL frozen": Service.freeze_postgresql,
    "connections ended": Service.end_connections,
}


def break_things(service: Service, rounds: int) -> None:
    """Have so many rounds of faults."""
    for number in range(rounds):
        name, fault = list(FAULTS.items())[number % len(FAULTS)]
        with service.written.lock:
            service.written.slowest_seconds = 0.0
        back_at = fault(service)
        wait_until(lambda: service.written.answered_at > back_at, 30)  # noqa: B023 - called in this round
        service.recoveries[name].append(service.written.answered_at - back_at)
        wait_until(service.whole, 30)
        time.sleep(REST_SECONDS)
        with service.written.lock:
            service.slowest[name] = max(service.slowest[name], service.written.slowest_seconds)
        print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)


def held_by(service: Service) -> dict[str, float]:
    """Return what the processes hold when nothing is asked of them."""
    time.sleep(NOISE_SECONDS + 1)  # what they look at once a second
    told = ask(service.server, "GET", "/metrics").body.decode()
    tasks = re.findall(r"^postern_tasks (\S+)$", told, re.MULTILINE)
    descriptors = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in service.workers())
    threads = sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in service.workers())
    return {"tasks": float(tasks[0]), "descriptors": descriptors, "threads": threads}


async def losses(service: Service) -> list[str]:
    """Return what is wrong with what was written."""
    rows = await service.database.ask("SELECT title, count(*) AS times FROM posts GROUP BY title")
    times = {row["title"]: row["times"] for row in rows}
    written = service.written
    acknowledged = written.keyed | written.plain
    lost = [title for title in acknowledged if title not in times]
    doubled = [title for title in times if times[title] > 1]
    (row,) = await service.database.ask(f"SELECT count(*) AS open {OURS} AND xact_start IS NOT NULL")
    print(
        f"{len(acknowledged)} acknowledged, {len(lost)} lost, {len(doubled)} doubled; {len(times) - len(acknowledged)}"
    )
    print(f"more were written than acknowledged; not acknowledged: {dict(written.refused)}")
    found = [f"{len(lost)} acknowledged writes are lost"] if lost else []
    found += [f"{len(doubled)} were written twice"] if doubled else []
    found += [f"{row['open']} connections are in a transaction"] if row["open"] else []
    found += [f"{outcome}: {count}" for outcome, count in written.refused.items() if outcome not in EXPECTED]
    return found


EXPECTED = {"503", "ConnectionResetError", "RemoteDisconnected", "ConnectionRefusedError", "BrokenPipeError"}
"""What a client may see: the service that can't, or a process of it that was killed."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Break things under a service that is being written to.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    random.seed(asked.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = Database(folder)
        try:
            wrong = _faults(database, folder, asked.rounds)
        finally:
            database.stop()
    for fault in wrong:
        print(f"faults: {fault}")
    return int(bool(wrong))


def _faults(database: Database, folder: Path, rounds: int) -> list[str]:
    env = environment(
        APP_ENV="production",
        SECRET_KEY="faults-0123456789-abcdefghijklmnopqrstuvwxyz",
        DATABASE_URL=database.url,
        STATEMENT_SECONDS=str(STATEMENT_SECONDS),
    )
    command = (PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", "--workers", str(WORKERS))
    with running(*command, folder=folder, env=unmeasured(env)) as server:
        service = Service(database, server, Written())
        with writing(server, service.written):
            wait_until(lambda: len(service.written.keyed) > 2 * CLIENTS)
        before = held_by(service)
        with writing(server, service.written):
            break_things(service, rounds)
        after = held_by(service)
        wrong = asyncio.run(losses(service))
        wrong += [f"{what}: {before[what]:.0f} before, {after[what]:.0f} after" for what in _grown(before, after)]
        print(f"before: {before}; after: {after}")
        if server.stop() != 0 or "Traceback" in server.output():
            wrong.append(server.output()[-5000:])
    for name, seconds in service.recoveries.items():
        median, longest = sorted(seconds)[len(seconds) // 2], max(seconds)
        print(
            f"{name}: {len(seconds)} times; acknowledged again after {median:.2f} s, {longest:.2f} at most;"
            f" slowest answer {service.slowest[name]:.2f} s"
        )
        if longest > RECOVERY_SECONDS:
            wrong.append(f"{name}: it took {longest:.2f} s until a write was acknowledged again")
        limit = TIME_OUT_SECONDS + PROMPT_SECONDS + (FROZEN_SECONDS if name == "PostgreSQL frozen" else 0)
        if service.slowest[name] > limit:
            wrong.append(f"{name}: an answer took {service.slowest[name]:.2f} s")
    return wrong


def _grown(before: dict[str, float], after: dict[str, float]) -> list[str]:
    spare = {"tasks": 0, "threads": 0, "descriptors": SPARE_DESCRIPTORS}
    return [what for what in before if after[what] > before[what] + spare[what]]


if __name__ == "__main__":
    sys.exit(main())

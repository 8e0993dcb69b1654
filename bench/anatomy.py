"""What a request consists of: `python -m bench.anatomy`.

The service is under a closed loop of 32 connections, one kind of work after another, and looks a thousand times in a
second of its processor time at where it is; so is a bare Flask app with the view that waits, on the bridge and the
server alone. What is found in Python's library, or in C, counts for whoever called it; the kernel's part, for the
server, which reads and writes. The shares are of processor time; the microseconds are those that the operating system
accounts for, the sampler's own, about a twentieth, included.

Tables go to the terminal and to bench/results/anatomy.md. Exits with 1 when a request fails; never for a time.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from types import FrameType

import uvloop
from bench import machine
from bench.api_works import KINDS, works
from bench.dataset import Dataset, dataset
from bench.load import Load, Outcome
from bench.peers import Server
from bench.systems import KEEP_ALIVE_SECONDS, OURS, SYSTEMS
from bench.tables import table
from bench.works import Work
from tests.support.processes import free_port, running, wait_until

RESULTS = Path(__file__).parent / "results" / "anatomy.md"
SAMPLED = (
    ("service.cli", ("run",), ("me", "list", "post", "create")),
    ("service.server.__main__", ("bench.apps.waiting:app",), ("wait",)),
)
"""What is looked at: the module whose `main` serves, its arguments, and the work that it is asked for."""
CONNECTIONS, SECONDS, EVERY_SECONDS = 32, 10.0, 0.001
LAYERS = {
    "the server": ("/service/server/", "/hypercorn/", "/uvloop/"),
    "the edge: limits, access line, metrics": (
        *("/service/edge", "/service/logs", "/service/clock", "/service/cors", "/service/trace"),
        "/prometheus_client/",
    ),
    "the bridge": ("/service/asgi",),
    "Flask, Werkzeug": ("/flask/", "/werkzeug/", "/blinker/"),
    "views, and what they take and give": ("/service/app", "/service/web/", "/service/api/", "/pydantic/"),
    "tokens, services": ("/service/tokens", "/service/services/", "/service/context", "/jwt/", "/cryptography/"),
    "repositories": ("/service/repositories/",),
    "SQLAlchemy": ("/sqlalchemy/",),
    "asyncpg": ("/asyncpg/",),
}
LIBRARIES = ("flask", "werkzeug", "sqlalchemy", "asyncpg", "uvloop")
OTHERS = "what belongs to none"
FOLDER = "POSTERN_BENCH_SAMPLES"


def layer_of(frame: FrameType | None) -> str:
    """Return the layer in which the innermost frame is that is in one."""
    while frame is not None:
        path = frame.f_code.co_filename
        for layer, parts in LAYERS.items():
            if any(part in path for part in parts):
                return layer
        frame = frame.f_back
    return OTHERS


def serve(arguments: list[str]) -> None:
    """Serve as `postern` does, and look where that is; SIGUSR1 begins anew, and what was seen is left as a file."""
    seen, begun = Counter[str](), [time.process_time()]
    folder = Path(os.environ[FOLDER])

    def look(_signal: int, frame: FrameType | None) -> None:
        seen[layer_of(frame)] += 1

    def leave() -> None:
        found = {"samples": dict(seen), "seconds": time.process_time() - begun[0]}
        (folder / "new").write_text(json.dumps(found))
        (folder / "new").rename(folder / "seen")

    def begin(_signal: int, _frame: FrameType | None) -> None:
        leave()
        seen.clear()
        begun[0] = time.process_time()

    signal.signal(signal.SIGPROF, look)
    signal.signal(signal.SIGUSR1, begin)
    signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)
    atexit.register(signal.setitimer, signal.ITIMER_PROF, 0)
    module, *sys.argv[1:] = arguments
    import_module(module).main()  # imported behind the sampler, in its process alone


def ask(port: int, work: Work, seconds: float) -> Outcome:
    """Keep the service busy."""
    return uvloop.run(_ask(port, work, seconds))


async def _ask(port: int, work: Work, seconds: float) -> Outcome:
    load = Load(port, work)
    try:
        await load.open(CONNECTIONS)
        return await load.run(seconds)
    finally:
        load.close()


def anatomy(rows: Dataset, folder: Path, seconds: float) -> tuple[str, int]:
    """Return the tables, and how many requests have failed."""
    columns: dict[str, dict[str, float]] = {}
    failed = 0
    for module, words, names in SAMPLED:
        port = free_port()
        told = SYSTEMS[OURS].environment(rows) | {FOLDER: str(folder)}
        command = (sys.executable, "-m", "bench.anatomy", "serve", module, *words, "--bind", f"127.0.0.1:{port}")
        with running(*command, folder=folder, env=told, port=port) as serving:
            server = Server(SYSTEMS[OURS], port, serving.process.pid, KEEP_ALIVE_SECONDS)
            for name in names:
                columns[name], errors = _sampled(server, works(rows)[name], folder, seconds)
                failed += errors
    header = ("microseconds of a request", *(KINDS[name].title for name in columns))
    lines = [(layer, *(_cell(column, layer) for column in columns.values())) for layer in (*LAYERS, OTHERS)]
    lines.append(("all of it", *(f"{sum(column.values()):.0f}" for column in columns.values())))
    return table(header, lines), failed


def _sampled(server: Server, work: Work, folder: Path, seconds: float) -> tuple[dict[str, float], int]:
    """Return the microseconds of a request by layer, and how many have failed."""
    ask(server.port, work, seconds / 5)
    _seen(server, folder)  # of the warm-up
    outcome = ask(server.port, work, seconds)
    samples, took = _seen(server, folder)
    each = 1e6 * took / len(outcome.latencies) / sum(samples.values())
    return {layer: each * count for layer, count in samples.items()}, outcome.errors + outcome.timeouts


def _cell(column: dict[str, float], layer: str) -> str:
    return f"{column.get(layer, 0):.0f} ({100 * column.get(layer, 0) / sum(column.values()):.0f} %)"


def _seen(server: Server, folder: Path) -> tuple[dict[str, int], float]:
    """Take what the service has seen of itself since the last time, by layer, and how much processor time that was."""
    (folder / "seen").unlink(missing_ok=True)
    os.kill(server.pid, signal.SIGUSR1)
    wait_until((folder / "seen").exists)
    found = json.loads((folder / "seen").read_text())
    return found["samples"], found["seconds"]


def main() -> int:
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2:])
        return 0
    parser = argparse.ArgumentParser(description="What a request consists of.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each kind of work")
    parser.add_argument("--check", action="store_true", help="a tiny run, which leaves no file")
    asked, load_at_begin = parser.parse_args(), os.getloadavg()[0]
    with dataset() as rows, tempfile.TemporaryDirectory() as folder:
        tables, failed = anatomy(rows, Path(folder), 0.5 if asked.check else asked.seconds)
    how = f"{CONNECTIONS} connections, flat out; {rows.rows} users and as many posts"
    said = " ".join(machine.about(how, machine.versions(LIBRARIES), load_at_begin))
    text = f"# What a request consists of (`make bench-anatomy`)\n\n{said}\n\n{tables}\n"
    print(text)
    if not asked.check:
        RESULTS.write_text(text)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

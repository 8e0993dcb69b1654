"""What a request consists of: `python -m bench.anatomy`.

The service is under a closed loop of 32 connections, one kind of work after another, and looks a thousand times in a
second of its processor time at where it is. What is found in Python's library, or in C, counts for whoever called it;
the kernel's part, for the server, which reads and writes. The shares are of processor time; the microseconds are those
that the operating system accounts for, the sampler's own, about a twentieth, included.

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
from pathlib import Path
from types import FrameType

import uvloop
from bench.api_works import KINDS, works
from bench.dataset import Dataset, dataset
from bench.load import Load, Outcome
from bench.peers import Server
from bench.systems import KEEP_ALIVE_SECONDS, OURS, SYSTEMS
from bench.tables import table
from bench.works import Work
from tests.support.processes import free_port, running, wait_until

RESULTS = Path(__file__).parent / "results" / "anatomy.md"
WORKS = ("me", "list", "post", "create")
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
    sys.argv = ["postern", *arguments]
    from service.cli import main  # noqa: PLC0415 - behind the sampler, in its process alone

    main()


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
    asked, port, failed = works(rows), free_port(), 0
    told = SYSTEMS[OURS].environment(rows) | {FOLDER: str(folder)}
    words = (sys.executable, "-m", "bench.anatomy", "serve", "run", "--bind", f"127.0.0.1:{port}")
    columns: dict[str, dict[str, float]] = {}
    with running(*words, folder=folder, env=told, port=port) as serving:
        server = Server(SYSTEMS[OURS], port, serving.process.pid, KEEP_ALIVE_SECONDS)
        for name in WORKS:
            ask(port, asked[name], seconds / 5)
            _seen(server, folder)  # of the warm-up
            outcome = ask(port, asked[name], seconds)
            samples, took = _seen(server, folder)
            failed += outcome.errors + outcome.timeouts
            each = 1e6 * took / len(outcome.latencies) / sum(samples.values())
            columns[name] = {layer: each * count for layer, count in samples.items()}
    header = ("microseconds of a request", *(KINDS[name].title for name in WORKS))
    lines = [(layer, *(_cell(columns[name], layer) for name in WORKS)) for layer in (*LAYERS, OTHERS)]
    lines.append(("all of it", *(f"{sum(columns[name].values()):.0f}" for name in WORKS)))
    return table(header, lines), failed


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
    asked = parser.parse_args()
    with dataset() as rows, tempfile.TemporaryDirectory() as folder:
        tables, failed = anatomy(rows, Path(folder), 0.5 if asked.check else asked.seconds)
    text = f"# What a request consists of (`make bench-anatomy`)\n\n{CONNECTIONS} connections, flat out.\n\n{tables}\n"
    print(text)
    if not asked.check:
        RESULTS.write_text(text)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

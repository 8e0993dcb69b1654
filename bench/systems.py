"""The systems that do the same work: the service and its peers, each with one process that works, and how they start.

The peers' apps are in `bench.apps`. All but the service run in the peers' environment (`bench.peers`), the floor under
the service's own server, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.dataset import ACCESS_SECONDS, Dataset
from bench.peers import PEERS_PYTHON, Server
from tests.support.processes import PROGRAMS, environment, free_port, running

KEEP_ALIVE_SECONDS = 5
"""How long stock Hypercorn and uvicorn keep a connection; the service's own server lets go of one that has ended."""
PACKAGES = (
    *("fastapi", "litestar", "quart", "flask", "flask-sqlalchemy", "flask-jwt-extended", "sqlalchemy", "asyncpg"),
    *("psycopg", "pyjwt", "pydantic", "msgspec", "orjson", "uvicorn", "httptools", "uvloop", "hypercorn", "gunicorn"),
)
"""Whose versions are of interest (`bench.peers.versions`)."""
OURS = "postern"


@dataclass(frozen=True, slots=True)
class System:
    """A system, the words of the command that starts it, in which PORT stands for the port, and what it is told."""

    name: str
    title: str
    words: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)

    def command(self, port: int) -> list[str]:
        """Return the words that start it on a port of 127.0.0.1."""
        return [word.replace("PORT", str(port)) for word in self.words]

    def environment(self, dataset: Dataset) -> dict[str, str]:
        """Return all of the environment that it gets: nothing of ours but what finds programs, and where the rows are.

        Tokens are as good as the benchmark is long.
        """
        told = {"DATABASE_URL": dataset.url, "SECRET_KEY": dataset.secret_key}
        return environment(**told, ACCESS_TOKEN_SECONDS=str(ACCESS_SECONDS), **self.variables)


def _peer(name: str, title: str, module: str, words: str) -> System:
    return System(name, title, (str(PEERS_PYTHON), "-m", module, *words.split()))


def _ours(name: str, title: str, *words: str) -> System:
    """Return what the service is in production, less its limits of rate: all comes from one address."""
    variables = {"APP_ENV": "production", "RATE_LIMIT_ENABLED": "false", "LOG_LEVEL": "INFO"}
    return System(name, title, words, variables)


def started_by(module: str, *words: str) -> System:
    """Return the service as it is in production, started by a module that does something of its own before."""
    return _ours(OURS, "postern", sys.executable, "-m", module, *words, "run", "--bind", "127.0.0.1:PORT")


UVICORN = "--host 127.0.0.1 --port PORT --loop uvloop --http httptools"
QUIET = f"{UVICORN} --no-access-log --log-level warning"
HYPERCORN = "--bind 127.0.0.1:PORT --worker-class uvloop --graceful-timeout 1"
FLOOR = "bench.apps.floor:app"
SYSTEMS = {
    system.name: system
    for system in (
        _ours(OURS, "postern", str(PROGRAMS / "postern"), "run", "--bind", "127.0.0.1:PORT"),
        _peer("fastapi", "FastAPI, as usual", "uvicorn", f"bench.apps.fastapi_usual:app {UVICORN}"),
        _peer("fastapi-tuned", "FastAPI, tuned", "uvicorn", f"bench.apps.fastapi_tuned:app {UVICORN}"),
        _peer("fastapi-stripped", "FastAPI, stripped", "uvicorn", f"bench.apps.fastapi_stripped:app {QUIET}"),
        _peer("litestar", "Litestar", "uvicorn", f"bench.apps.litestar_app:app {UVICORN}"),
        _peer("quart", "Quart", "hypercorn", f"bench.apps.quart_app:app {HYPERCORN}"),
        _peer(
            "guide",
            "Flask, gunicorn",
            "gunicorn",
            "bench.apps.guide:app --no-control-socket --workers 1 --bind 127.0.0.1:PORT",
        ),
        _peer("wsgi-to-asgi", "Flask, WsgiToAsgi", "hypercorn", f"bench.apps.guide:asgi {HYPERCORN}"),
        _peer("floor-hypercorn", "floor, Hypercorn", "hypercorn", f"{FLOOR} {HYPERCORN}"),
        _peer("floor-engine", "floor, our server", "service.server", f"{FLOOR} --bind 127.0.0.1:PORT"),
        _peer("floor-uvicorn", "floor, uvicorn", "uvicorn", f"{FLOOR} {QUIET}"),
    )
}
WAITING = {
    system.name: system
    for system in (
        _ours(
            "waiting",
            "postern's bridge and edge",
            *(sys.executable, "-m", "service.server", "bench.apps.waiting:app", "--bind", "127.0.0.1:PORT"),
        ),
        SYSTEMS["fastapi"],
        SYSTEMS["fastapi-stripped"],
    )
}
"""Those that have a view at `/wait`."""


@contextmanager
def started(system: System, dataset: Dataset, folder: Path) -> Iterator[Server]:
    """Start a system and wait until it answers; end it, and all that it has started. ``folder`` is for what it says.

    Raises:
        SystemExit: it does not answer.
    """
    port = free_port()
    with ExitStack() as stack:
        try:
            serving = running(*system.command(port), folder=folder, env=system.environment(dataset), port=port)
            process = stack.enter_context(serving).process
        except AssertionError as fault:
            raise SystemExit(f"bench: {system.title} did not start: {fault}") from None
        yield Server(system, port, process.pid, KEEP_ALIVE_SECONDS)

"""What benchmarks of a served database have in common: a PostgreSQL that is thrown away, the service on it, a client.

Everything is on loopback and below one temporary folder.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import alembic.command
import alembic.config
from service.embedded import Cluster
from tests.support.processes import PROGRAMS, ROOT, environment, running

SECRET_KEY = os.urandom(32).hex()


@dataclass(frozen=True, slots=True)
class Migrated:
    """A migrated database, the environment of a service on it, and a folder for that."""

    cluster: Cluster
    env: dict[str, str]
    folder: Path


@dataclass(frozen=True, slots=True)
class Served(Migrated):
    """One that is served, and the port on which it is."""

    port: int


@contextmanager
def migrated() -> Iterator[Migrated]:
    """Start a database; end it, and delete it."""
    with tempfile.TemporaryDirectory() as name, Cluster(Path(name) / "postgres", ephemeral=True) as cluster:
        cluster.ensure_database()
        config = alembic.config.Config(ROOT / "alembic.ini", attributes={"database_url": cluster.url()})
        alembic.command.upgrade(config, "head")
        env = environment(APP_ENV="production", SECRET_KEY=SECRET_KEY, DATABASE_URL=cluster.url(), LOG_LEVEL="ERROR")
        yield Migrated(cluster, env, Path(name))


@contextmanager
def served() -> Iterator[Served]:
    """Start a database and the service on it; end both, and delete the database."""
    with migrated() as there:
        command = (PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0")
        with running(*command, folder=there.folder, env=there.env) as server:
            yield Served(there.cluster, there.env, there.folder, server.port)


class Client:
    """One keep-alive connection that asks one thing after the other, as whoever logged in."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def log_in(self, email: str, password: str) -> None:
        """Have all that follows asked with a token of this account."""
        document = json.dumps({"email": email, "password": password})
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/api/auth/login", document, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        assert answer.status == 200, said
        self._headers = {"Authorization": f"Bearer {json.loads(said)['access_token']}"}

    def get(self, target: str) -> tuple[float, Any]:
        """Return how many milliseconds the answer took, and its document."""
        began = time.perf_counter()
        self._connection.request("GET", target, headers=self._headers)
        answer = self._connection.getresponse()
        said = answer.read()
        milliseconds = 1000 * (time.perf_counter() - began)
        assert answer.status == 200, (target, said)
        return milliseconds, json.loads(said)


def median_and_p95(milliseconds: Sequence[float]) -> tuple[float, float]:
    return statistics.median(milliseconds), statistics.quantiles(milliseconds, n=20)[18]

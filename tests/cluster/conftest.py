"""A database, a standby that follows it, and each way to reach them: directly, and through either kind of PgBouncer."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from service.embedded import Cluster
from service.embedded.cluster import SUPERUSER
from tests.cluster.servers import NEW, OLD, Pooler, pooled, standby_of
from tests.conftest import migrate
from tests.support.processes import PROGRAMS, Running, environment, running

SECRET_KEY = "cluster-0123456789-abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A folder that may be entered by whoever PgBouncer is."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


@pytest.fixture(scope="session")
def primary(place: Path) -> Iterator[Cluster]:
    with Cluster(place / "primary") as cluster:
        cluster.ensure_database()
        migrate(cluster.url())
        yield cluster


@pytest.fixture(scope="session")
def standby(primary: Cluster, place: Path) -> Iterator[Cluster]:
    with standby_of(primary, place / "standby") as cluster:
        yield cluster


def ask_server(cluster: Cluster, statement: str) -> Any:
    """Ask for one value, as the one who may do everything."""

    async def ask() -> Any:
        connection = await asyncpg.connect(cluster.url(role=SUPERUSER, scheme="postgresql"), timeout=10)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


@dataclass(frozen=True)
class Way:
    """How the service reaches both servers."""

    pooler: Pooler | None
    settings: dict[str, str]


@pytest.fixture(scope="session", params=[None, OLD, NEW], ids=["direct", OLD.release, NEW.release])
def way(request: pytest.FixtureRequest, primary: Cluster, standby: Cluster, place: Path) -> Iterator[Way]:
    pooler: Pooler | None = request.param
    with ExitStack() as stack:
        urls, settings = [primary.url(), standby.url()], {}
        if pooler:
            urls = stack.enter_context(pooled(pooler, place / pooler.release, [primary], [standby]))
            settings = {"DB_POOLER": pooler.setting, "MIGRATION_URL": primary.url()}
        yield Way(pooler, settings | {"DATABASE_URL": urls[0], "DATABASE_RO_URL": urls[1]})


@pytest.fixture(scope="session")
def server(way: Way, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two processes of the service."""
    command = (PROGRAMS / "postern", "run", "--workers", "2", "--bind", "127.0.0.1:0")
    env = environment(APP_ENV="production", SECRET_KEY=SECRET_KEY, **way.settings)
    with running(*command, folder=tmp_path_factory.mktemp("server"), env=env) as server:
        yield server

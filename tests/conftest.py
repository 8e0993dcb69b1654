"""Lifetimes: one PostgreSQL, one migrated database and one application a run, clean tables for each test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, cast

import alembic.command
import alembic.config
import asyncpg
import httpx
import pytest
from asgi_lifespan import LifespanManager
from service.config import Settings
from service.context import Context
from service.edge import Edge
from service.embedded import Cluster
from service.repositories.expired import PURGE_LOCK
from service.stack import create_asgi
from tests.support.accounts import Accounts
from tests.support.attempts import LOCKING
from tests.support.certificates import write_certificate
from tests.support.hashing import Hashing
from tests.support.instances import Instance, NewDatabase, Serve, client_of, connect, context_of, serving
from tests.support.things import Things
from tests.support.writings import Lists, Writings

ROOT = Path(__file__).parent.parent
SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEF"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("postgres") / "data", ephemeral=True) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def database_url(cluster: Cluster) -> str:
    cluster.ensure_database()
    migrate(cluster.url())
    return cluster.url()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a certificate for this machine, and its key."""
    file = tmp_path_factory.mktemp("certificate") / "server.pem"
    write_certificate(file)
    return file


def migrate(database_url: str, revision: str = "head") -> None:
    config = alembic.config.Config(ROOT / "alembic.ini", attributes={"database_url": database_url})
    alembic.command.upgrade(config, revision)


@pytest.fixture(scope="session")
def settings(database_url: str) -> Settings:
    return make_settings(database_url=database_url)


def make_settings(**values: object) -> Settings:
    """Settings of a test, untouched by the environment's `.env`."""
    # Nothing purges while a test empties the tables; the tests of purging say when.
    cheap = {"rate_limit_enabled": False, "hash_passes": 1, "hash_memory_kib": 8, "purge_seconds": 86_400}
    return Settings.load(_env_file=None, **{"app_env": "testing", "secret_key": SECRET, **cheap, **values})


@pytest.fixture(scope="session")
async def app(settings: Settings, database_url: str) -> AsyncIterator[Edge]:
    edge = create_asgi(settings, database_url)
    async with LifespanManager(cast(Any, edge)):
        yield edge


@pytest.fixture(scope="session")
async def emptying(database_url: str) -> str:
    """SQL that waits for whoever still works, and leaves all tables empty.

    TRUNCATE does that too, in a hundred times as long: it makes each table's and each index's file anew.
    """
    connection = await connect(database_url)
    try:
        tables, sequences = [
            [name for (name,) in await connection.fetch(OF_KIND, kind.encode())] for kind in ("r", "S")
        ]
    finally:
        await connection.close()
    # A purge that is at work takes the tables in another order.
    locking = f"SELECT pg_advisory_xact_lock({PURGE_LOCK}); LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE"
    deleting = [f"DELETE FROM {table}" for table in tables]
    return "; ".join([locking, *deleting, *(f"SELECT setval('{sequence}', 1, false)" for sequence in sequences)])


OF_KIND = (
    "SELECT oid::regclass::text FROM pg_class"
    " WHERE relnamespace = 'public'::regnamespace AND relkind = $1 AND relname <> 'alembic_version'"
)


@pytest.fixture
async def database(database_url: str, emptying: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection beside the application's, on tables that are empty."""
    connection = await connect(database_url)
    try:
        await connection.execute(emptying)
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def client(app: Edge, database: asyncpg.Connection) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP over sockets of the server's engine, in this process. Answers have to be documented."""
    async with client_of(app) as client:
        yield client


@pytest.fixture
def accounts(client: httpx.AsyncClient, database: asyncpg.Connection) -> Accounts:
    """Makes accounts, and logs them in over HTTP."""
    return Accounts(client, database)


@pytest.fixture
def things(client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection) -> Things:
    """Makes users, posts and comments."""
    return Things(client, accounts, database)


@pytest.fixture
def writings(database: asyncpg.Connection) -> Writings:
    """Makes posts and comments."""
    return Writings(database)


@pytest.fixture
def lists(accounts: Accounts, database: asyncpg.Connection) -> Lists:
    """Makes lists with rows."""
    return Lists(accounts, database)


@pytest.fixture(scope="session")
def template(cluster: Cluster) -> str:
    """A migrated database that nobody is connected to, so that others may be copied from it."""
    cluster.ensure_database("migrated")
    migrate(cluster.url("migrated"))
    return "migrated"


@pytest.fixture(scope="session")
def database_numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def new_database(cluster: Cluster, template: str, database_numbers: Iterator[int]) -> NewDatabase:
    """Makes migrated databases that belong to one test each."""

    async def make() -> str:
        name = f"copy_{next(database_numbers)}"
        connection = await connect(cluster.url("postgres"))
        try:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        finally:
            await connection.close()
        return cluster.url(name)

    return make


@pytest.fixture
async def url(new_database: NewDatabase) -> str:
    """A database of the test's own, in which nobody else does anything."""
    return await new_database()


@pytest.fixture
async def own(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to it, beside the application's."""
    connection = await connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
def serve(database_url: str) -> Serve:
    """Opens another application: on the database of the run unless `url` says otherwise, with settings of its own."""

    def make(url: str = database_url, **values: object) -> AbstractAsyncContextManager[Instance]:
        return serving(make_settings(**values), url)

    return make


@pytest.fixture
def context(app: Edge) -> Context:
    """What the application of the run works with."""
    return context_of(app)


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> Hashing:
    """What the argon2 library is asked to do in this test."""
    return Hashing(monkeypatch)


@pytest.fixture
async def locking(serve: Serve, database: asyncpg.Connection) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application where the lock on guessing is the only limit."""
    async with serve(**LOCKING) as instance:
        yield instance.client

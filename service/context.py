"""The frozen objects of one process: the engine, the units of work over it, the token codec, the password threads.

Made when the server starts and closed when it stops, by the lifespan; views reach it through their app.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import cast

from sqlalchemy import QueuePool, text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.config import ConfigurationError, Settings
from service.keys import configured_keys
from service.models import SCHEMA_HEAD
from service.passwords import PasswordHasher
from service.recently import Recently
from service.repositories.engine import close_engine, create_engine, session_settings, transactional
from service.repositories.rates import Rates
from service.repositories.reads import Alone, AloneOnce, Asks, Together
from service.repositories.refusals import no_database, reason
from service.repositories.standby import Standby
from service.repositories.unit_of_work import Adding, Maintaining, Reading, UnitOfWork
from service.seals import Seals
from service.tokens import TokenCodec

READY_SECONDS = 1.0
"""For how long the database is not asked again whether it is ready."""


class NotReady(Exception):
    """The database does not answer, or its schema is behind this code; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every request of a process shares. ``engine`` runs each statement by itself, ``transactional`` those that
    belong together, over the same pool. ``reading`` is of the primary; ``replica`` is what may be shown of a standby,
    and is ``reading`` where there is none. ``something_hidden`` is for the purge, which need not wait then.
    """

    settings: Settings
    engine: AsyncEngine
    transactional: AsyncEngine
    standby: AsyncEngine | None
    alone: Alone
    reading: Reading
    replica: Reading
    adding: Adding
    rates: Rates
    tokens: TokenCodec
    passwords: PasswordHasher
    seals: Seals
    something_hidden: asyncio.Event
    recently: Recently

    def connections_in_use(self) -> int:
        """Return how many of the pools' connections somebody has."""
        return sum(pool.checkedout() for pool in self.pools())

    def pools(self) -> tuple[QueuePool, ...]:
        """Return the pool of the primary's connections and, where there is one, of the standby's."""
        engines = (self.engine, self.standby) if self.standby else (self.engine,)
        return tuple(cast(QueuePool, engine.pool) for engine in engines)

    def transaction(self) -> UnitOfWork:
        """Begin nothing yet: the transaction starts with its first statement."""
        return UnitOfWork(self.transactional)

    def maintaining(self) -> Maintaining:
        """Return a unit of work for statements that put the tables in order."""
        return Maintaining(self.engine)

    async def schema_version(self) -> str:
        """Ask the database for its migration; empty when there was none yet.

        Raises:
            NotReady: it does not answer, or refuses us, or can't even be asked.
        """
        try:
            ((exists,),) = await self.alone.rows(text("SELECT to_regclass('alembic_version')"))
            found = await self.alone.rows(text("SELECT version_num FROM alembic_version")) if exists else ()
            return found[0][0] if found else ""
        except Exception as error:
            raise NotReady(no_database(error, "DATABASE_URL", past_pooler="set DB_POOLER")) from error

    async def missing_from_sessions(self) -> list[str]:
        """Return, as SQL, what the role has to be told where a pooler keeps us from setting up sessions ourselves.

        Raises:
            ServiceError: the database does not answer.
        """
        if self.settings.db_pooler is None:
            return []
        wanted = session_settings(self.settings, statement_seconds=self.settings.statement_seconds)
        names = {"names": [name.lower() for name in wanted]}
        rows = await self.alone.rows(
            text("SELECT name, setting FROM pg_settings WHERE lower(name) = ANY(:names)"), names
        )
        found = {row.name: row.setting for row in rows}
        return [
            f"ALTER ROLE CURRENT_USER SET {name} = '{value}'" for name, value in wanted.items() if found[name] != value
        ]

    async def check_readiness(self) -> None:
        """Check the schema as one that may be asked by anybody: the answer is READY_SECONDS old at most.

        Raises:
            NotReady: it is behind, or the database does not answer.
        """
        await self.recently.ask(self.check_schema)

    async def check_schema(self) -> None:
        """See to it that the schema is at or past the migration that this code knows: past it is good, too, so that a
        deployment may migrate before it replaces the processes.

        Raises:
            NotReady: it is behind, or the database does not answer.
        """
        version = await self.schema_version()
        if version < SCHEMA_HEAD:
            behind = f"the schema is at {version or 'nothing'}, this code needs {SCHEMA_HEAD}"
            raise NotReady(f"{behind}: run alembic upgrade head")


@asynccontextmanager
async def open_context(settings: Settings, database_url: str) -> AsyncIterator[Context]:
    """Make the context; close what it holds at the end. Nothing is connected yet.

    Raises:
        ConfigurationError: an address, or a key, can't be used.
    """
    async with AsyncExitStack() as stack:

        def engine_of(url: str, setting: str) -> AsyncEngine:
            try:
                engine = create_engine(settings, url, pooler=settings.db_pooler)
            except Exception as error:  # noqa: BLE001 - and from None, for it shows the address
                raise ConfigurationError([f"{setting} is no address of a database ({reason(error)})"]) from None
            stack.push_async_callback(close_engine, engine)
            return engine

        def together(alone: Asks) -> Together:
            reads = Together(alone, connections=settings.pool_size, wait_seconds=settings.pool_wait_seconds)
            stack.push_async_callback(reads.close)
            return reads

        engine = engine_of(database_url, "DATABASE_URL")
        primary = together(Alone(engine))
        reading = replica = Reading(primary)
        standby = None
        if settings.database_ro_url is not None:
            standby = engine_of(settings.database_ro_url.get_secret_value(), "DATABASE_RO_URL")
            # A pooler goes on with a server for a transaction, and no longer.
            whole = transactional(standby) if settings.db_pooler else standby
            reads = Standby(Alone(whole, quiet=True), primary)
            stack.push_async_callback(reads.close)
            replica = Reading(together(reads))
        passwords = PasswordHasher(
            passes=settings.hash_passes,
            memory_kib=settings.hash_memory_kib,
            threads=settings.hash_threads,
            queue=settings.hash_queue,
            wait_seconds=settings.hash_wait_seconds,
        )
        stack.callback(passwords.close)
        yield Context(
            settings=settings,
            engine=engine,
            transactional=transactional(engine),
            standby=standby,
            alone=Alone(engine, quiet=True),
            reading=reading,
            replica=replica,
            adding=Adding(AloneOnce(engine)),
            rates=Rates(Alone(engine)),
            tokens=token_codec(settings),
            passwords=passwords,
            seals=Seals([secret.get_secret_value().encode(errors="surrogateescape") for secret in settings.secrets()]),
            something_hidden=asyncio.Event(),
            recently=Recently(READY_SECONDS),
        )


def token_codec(settings: Settings) -> TokenCodec:
    """Make the codec; what the settings name is read now, and nothing is kept open.

    Raises:
        ConfigurationError: a key can't be used.
    """
    return TokenCodec(
        configured_keys(settings),
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        access_seconds=settings.access_token_seconds,
        refresh_seconds=settings.refresh_token_seconds,
        limit_bytes=settings.token_limit_bytes,
    )

"""Runs migrations on the database that the settings name; `alembic upgrade head` alone is a deployment's step.

Two upgrades at once: one works, the other waits for its advisory lock and then finds nothing to do.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack

from alembic import context
from service.config import ConfigurationError, DatabaseSettings
from service.database import database
from service.embedded import EmbeddedPostgresError
from service.errors import Unavailable
from service.models import Base
from service.repositories.engine import create_engine, transactional
from service.repositories.refusals import no_database, reason, refusal
from sqlalchemy import Connection, text

# Any number will do, as long as it is always the same one.
MIGRATION_LOCK = 7_365_736_365_001
LOOK_SECONDS = 0.2
"""How long who waits for the lock waits before asking again."""
PATIENCE = 0.75
"""How long a migration waits for a table, of what statements of the service do that queue behind it: it gives up first.
It is more than PostgreSQL's `deadlock_timeout`, after which an autovacuum makes way for who waits for it.
"""
PAST_POOLER = {"DATABASE_URL": "set DB_POOLER and MIGRATION_URL", "MIGRATION_URL": "let it lead past it"}

log = logging.getLogger("alembic")


class NoConnection(Exception):
    """There is none to be had; the message says why, and what to do."""


def run() -> None:
    """Migrate the database that the settings name, else the embedded one."""
    given = context.config.attributes.get("database_url")  # by whoever calls Alembic from Python
    settings = DatabaseSettings.load(**{"database_url": given} if given else {})
    if settings.db_pooler and not settings.migration_url and not given:
        raise ConfigurationError(["MIGRATION_URL is missing: migrations do not go through DB_POOLER, their lock can't"])
    with database(settings) as database_url:
        if settings.migration_url and not given:
            asyncio.run(migrate(settings, settings.migration_url.get_secret_value(), "MIGRATION_URL"))
        else:
            asyncio.run(migrate(settings, database_url, "DATABASE_URL"))


async def migrate(settings: DatabaseSettings, database_url: str, setting: str) -> None:
    """Run the migrations on one connection; a migration may take long, waiting for a table may not.

    Raises:
        NoConnection: there is none to be had by the address, which this setting holds.
    """
    async with AsyncExitStack() as stack:
        try:
            engine = create_engine(settings, database_url, statement_seconds=0)
            stack.push_async_callback(engine.dispose)
            connection = await stack.enter_async_context(transactional(engine).connect())
        except Exception as error:  # noqa: BLE001 - drivers raise much before they are connected
            raise NoConnection(no_database(error, setting, past_pooler=PAST_POOLER[setting])) from None
        await connection.run_sync(run_under_lock, settings.lock_seconds * PATIENCE)


def run_under_lock(connection: Connection, lock_seconds: float) -> None:
    """Run the migrations, each in a transaction of its own, while no other process does.

    What one has locked is free again before the next begins: who locks more and more meets somebody who has read one
    table and waits for another.

    The lock is the session's, for a migration may leave the transaction (`autocommit_block`) to build an index
    concurrently. Who waits for the lock asks again and again: such an index would wait for a statement that waits.
    """
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    waits = False
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": MIGRATION_LOCK}):
        connection.commit()
        if not waits:
            log.info("another migration is running: waiting for it")
        waits = True
        time.sleep(LOOK_SECONDS)
    connection.execute(text(f"SET lock_timeout = {round(lock_seconds * 1000)}"))
    connection.commit()
    with context.begin_transaction():
        context.run_migrations()


def run_as_sql() -> None:
    """Print the migrations as SQL (`alembic upgrade head --sql`), for those who may not run them themselves."""
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """Do what the command asked for; what people can mend is said in a line."""
    if not logging.getLogger().handlers:  # the `alembic` command: nobody has set up logs
        logging.basicConfig(level="INFO", format="%(message)s")
        logging.getLogger("alembic.runtime.plugins").setLevel("WARNING")
    try:
        run_as_sql() if context.is_offline_mode() else run()
    except ConfigurationError as error:
        raise SystemExit("\n".join(error.faults)) from None
    except (EmbeddedPostgresError, NoConnection) as error:
        raise SystemExit(str(error)) from None
    except Exception as error:
        if not isinstance(refusal(error), Unavailable):
            raise
        said = f"a migration gave up ({reason(error)}) and is undone: run alembic upgrade head again"
        raise SystemExit(said) from None


main()

"""The engine: one pool of asyncpg connections for one process, and what every connection is told when it is made."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any, cast

from sqlalchemy import URL, AsyncAdaptedQueuePool, ExceptionContext, event, make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from service import metrics
from service.addresses import LIBPQ_PARAMETERS
from service.config import DatabaseSettings
from service.repositories.refusals import ends_connections
from service.repositories.traced import trace_statements

CLOSING_SECONDS = 1
"""How long the server has to take leave of all connections."""


def create_engine(
    settings: DatabaseSettings,
    database_url: str,
    *,
    statement_seconds: float | None = None,
    pooler: str | None = None,
) -> AsyncEngine:
    """Return an engine that has not connected yet; ``statement_seconds`` replaces the setting, 0 is no limit.

    Each of its statements is a transaction by itself (AUTOCOMMIT), as most are; `transactional` is for others. Through
    a ``pooler`` (the setting DB_POOLER) sessions are not ours to set up: the role has to have `session_settings`.
    """
    limit = settings.statement_seconds if statement_seconds is None else statement_seconds
    own = {} if pooler else session_settings(settings, statement_seconds=limit)
    engine = create_async_engine(
        _asyncpg_url(database_url),
        poolclass=_Pool,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.pool_wait_seconds,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        connect_args={
            "timeout": settings.connect_seconds,
            # The server's own limit comes first; this one is for a server that does not answer at all.
            "command_timeout": limit + 1 if limit else None,
            "server_settings": {"application_name": "postern"} | own,
            # Where the pooler does not know what was prepared, nothing may have a name that another server has.
            **({"statement_cache_size": 0} if pooler == "transaction-unprepared" else {}),
        },
    )
    event.listen(engine.sync_engine, "checkout", _replace_if_closed)
    event.listen(engine.sync_engine, "handle_error", _leave_the_server)
    trace_statements(engine)
    return engine


def session_settings(settings: DatabaseSettings, *, statement_seconds: float) -> dict[str, str]:
    """Return what a session of ours has of PostgreSQL's settings, as `pg_settings` has them: times in milliseconds."""
    return {
        "jit": "off",
        # One request, one core: workers are for reports, and cost more to start than most statements take.
        "max_parallel_workers_per_gather": "0",
        # Plans are kept. One that was made while a table had a page would read the whole of it by and by.
        "enable_seqscan": "off",
        "TimeZone": "UTC",
        "statement_timeout": _milliseconds(statement_seconds),
        "lock_timeout": _milliseconds(settings.lock_seconds),
        "idle_in_transaction_session_timeout": _milliseconds(settings.idle_in_transaction_seconds),
    }


class _Pool(AsyncAdaptedQueuePool):
    """Measures how long one waits for a connection."""

    def _do_get(self) -> ConnectionPoolEntry:
        began = time.perf_counter()
        try:
            return super()._do_get()
        finally:
            metrics.pool_wait.observe(time.perf_counter() - began)


# SQLAlchemy's own loggers say nothing below a warning, and a pool's is named after its class.
logging.getLogger(f"{_Pool.__module__}.{_Pool.__name__}").setLevel(logging.WARNING)


def transactional(engine: AsyncEngine) -> AsyncEngine:
    """Return the engine, with the same pool, for statements that belong together."""
    return engine.execution_options(isolation_level="READ COMMITTED")


async def close_engine(engine: AsyncEngine) -> None:
    """Close the idle connections; after CLOSING_SECONDS without waiting for the server, which may never answer."""
    deadline = asyncio.get_running_loop().time() + CLOSING_SECONDS
    closed = False
    while not closed:  # a connection that is waited for has left the pool: each round there are fewer
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await engine.dispose()
                closed = True


def _replace_if_closed(dbapi_connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool replace all its connections when the server has closed one; asyncpg knows it without asking.

    What ended one has mostly ended all, and asyncpg may not know it of the next yet, whose transaction would fail.
    """
    if dbapi_connection.driver_connection.is_closed():
        raise InvalidatePoolError


def _leave_the_server(context: ExceptionContext) -> None:
    """Have the pool replace all its connections when one of them says that its server is not the one to have, and this
    one when the server did not answer in time: it is cut, for a farewell would be waited for, too.
    """
    if isinstance(context.original_exception, TimeoutError) and context.connection is not None:
        cast(Any, context.connection.connection.driver_connection).terminate()
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False
    elif ends_connections(context.original_exception):
        context.is_disconnect = True


def _asyncpg_url(database_url: str) -> URL:
    """Return the address for SQLAlchemy's asyncpg dialect; libpq's `sslmode` is asyncpg's `ssl`."""
    url = make_url(database_url.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+asyncpg")
    if "sslmode" in url.query:
        url = url.update_query_dict({"ssl": url.query["sslmode"]})
    return url.difference_update_query(LIBPQ_PARAMETERS | {"sslmode"})


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))

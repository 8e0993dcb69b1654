"""`postern run`: one process that serves, or a supervisor above several."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import sys
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import click

from service import logs, metrics
from service.cli.start import load, migrate, say, says_what_to_do, with_context
from service.config import PROCESSES, Settings
from service.context import Context
from service.database import database
from service.edge import before_the_app
from service.server.config import ServerConfig
from service.server.leash import Leash
from service.server.run import run
from service.server.supervisor import Crew, again, supervise
from service.services import users
from service.stack import create_asgi

HASHING = (b"POST /api/auth/login", b"POST /api/auth/token", b"POST /api/auth/password", b"POST /api/users")
"""What hashes a password, and is dear: begun one by one, they leave the event loop time for others."""
HASHING_THREAD_SECONDS = 0.016
"""For each hashing thread one of each begins so often: somewhat less than a hash takes with the default parameters."""


LAST_REQUEST_SECONDS = 1.0
"""At a stop, for clients that keep connections: most ask again meanwhile, and are told."""
JITTER = 0.2
"""Processes that began together do not end together: to ``--max-requests`` comes up to a fifth, by chance."""

log = logging.getLogger("postern")


@dataclass(frozen=True)
class Options:
    """What the command line says, by the names of `run_command`'s options."""

    bind: str
    workers: int | None
    certfile: str | None
    keyfile: str | None
    max_requests: int | None
    access_log: bool
    log_level: str | None


@click.command("run")
@click.option("--bind", default="127.0.0.1:8000", show_default=True, metavar="HOST:PORT", help="where to listen")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="serve by so many processes, and supervise them")
@click.option("--certfile", type=click.Path(exists=True, dir_okay=False), help="serve TLS; a chain in PEM")
@click.option("--keyfile", type=click.Path(exists=True, dir_okay=False), help="its key, if it is not in there")
@click.option(
    "--max-requests",
    type=click.IntRange(1),
    metavar="N",
    help="end a process after so many, or a few more; with --workers another one is there then",
)
@click.option("--access-log/--no-access-log", default=True, show_default=True, help="a line for each request")
@click.option("--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]), help="in place of LOG_LEVEL")
@says_what_to_do
def run_command(**options: Any) -> None:
    """Serve. Development migrates before; without DATABASE_URL its database is an embedded one, with an admin.

    With --workers, SIGHUP replaces the processes one after the other, and nobody notices.
    """
    given = Options(**options)
    if given.keyfile and not given.certfile:
        raise click.UsageError("--keyfile needs --certfile")
    if given.workers:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is somebody to be replaced, and in who serves
    settings, leash = load(), Leash.found()
    logs.configure(given.log_level or settings.log_level, as_json=settings.production, requests=given.access_log)
    with database(settings) as url:
        if leash is None:
            _prepare(settings, url)
        config = _server_config(settings, given)
        on_ready = partial(_announce, "https" if config.ssl_enabled else "http")
        if given.workers and leash is None:
            with TemporaryDirectory(prefix="postern-metrics-") as folder:
                crew = Crew(
                    given.workers,
                    again(),
                    variables={**_shared(settings, url, given.workers), metrics.FOLDER: folder},
                    number_in=metrics.PROCESS,
                    on_ready=on_ready,
                    on_end=partial(metrics.forget, folder),
                )
                ended_in_time = supervise(crew, config)
            if not ended_in_time:
                sys.exit(1)
        else:
            edge = create_asgi(settings, url)
            run(edge, config, on_ready=on_ready, on_stop=edge.drain, leash=leash)


def _prepare(settings: Settings, url: str) -> None:
    """See to it that there is a database to serve from."""
    if settings.app_env == "development":
        migrate(url)
    else:
        # A database that is away is said here and now; one that is behind is waited for, by /readyz.
        asyncio.run(with_context(settings, url, _look))
    if settings.app_env == "development" and settings.database_url is None:
        asyncio.run(with_context(settings, url, _with_an_admin))


async def _look(context: Context) -> None:
    """See that the database answers, and say what has to be done to it that is not a migration's to do."""
    await context.schema_version()
    for statement in await context.missing_from_sessions():
        log.warning("sessions through DB_POOLER lack a setting: %s", statement)


async def _with_an_admin(context: Context) -> None:
    """See to it that there is an admin to log in as, on a database that is nobody else's."""
    if await context.reading.users.has_admin():
        return
    password = secrets.token_urlsafe(12)
    await users.register(context, username="admin", email="admin@example.com", password=password, role="admin")
    say(f"admin made: email admin@example.com, password {password}  (shown this once)")


def _shared(settings: Settings, url: str, workers: int) -> dict[str, str]:
    """Return what the processes can't read for themselves: how many they are, the database that was started here, and
    the key that was made up.
    """
    shared = {PROCESSES: str(workers)}
    if settings.database_url is None:
        shared["DATABASE_URL"] = url
    if settings.secret_key is not None and not settings.names_its_secret:
        shared["SECRET_KEY"] = settings.secret_key.get_secret_value()
    return shared


def _server_config(settings: Settings, options: Options) -> ServerConfig:
    config = ServerConfig()
    config.bind = [options.bind]
    config.certfile, config.keyfile = options.certfile, options.keyfile or options.certfile
    config.max_requests = options.max_requests
    config.max_requests_jitter = int(JITTER * (options.max_requests or 0))
    config.last_request_seconds = LAST_REQUEST_SECONDS
    config.refuse = before_the_app
    config.seconds_apart = dict.fromkeys(HASHING, HASHING_THREAD_SECONDS / settings.hash_threads)
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.keep_alive_timeout = settings.keep_alive_seconds
    config.graceful_timeout = settings.shutdown_seconds
    # The edge refuses with the caller's request id and the route's headers, over HTTP/2 as well: what the server
    # refuses has to be beyond that.
    config.target_limit_bytes = 2 * settings.url_limit_bytes
    config.h11_max_incomplete_size = 2 * (settings.header_limit_bytes + settings.url_limit_bytes)
    config.field_limit = 2 * settings.header_limit_fields
    config.head_seconds = settings.head_seconds
    config.body_seconds = 2 * settings.body_seconds
    config.stall_seconds = 2 * settings.stall_seconds
    return config


def _announce(scheme: str, address: str) -> None:
    say(f"{address if address.startswith('unix:') else f'{scheme}://{address}'}  (Ctrl-C stops it)")

"""The `postern` command: serving, administrators, and what has expired."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Any

import click
from pydantic import ValidationError

from service import __version__, logs
from service.api.schemas.users import NewUser
from service.cli.keys import keys
from service.cli.seed import seed_command
from service.cli.start import load, migrate, say, says_what_to_do
from service.config import ConfigurationError, Settings
from service.context import Context, open_context
from service.database import database
from service.edge import before_the_app
from service.server.config import ServerConfig
from service.server.run import run
from service.services import users
from service.services.purge import purge
from service.stack import create_asgi

HASHING = (b"POST /api/auth/login", b"POST /api/auth/token", b"POST /api/auth/password", b"POST /api/users")
"""What hashes a password, and is dear: begun one by one, they leave the event loop time for others."""
HASHING_THREAD_SECONDS = 0.016
"""For each hashing thread one of each begins so often: somewhat less than a hash takes with the default parameters."""


@click.group()
@click.version_option(__version__)
def main() -> None:
    """Accounts, tokens, posts and comments over HTTP. Settings come from the environment and `.env` (README)."""


main.add_command(keys)
main.add_command(seed_command)


@main.command("run")
@click.option("--bind", default="127.0.0.1:8000", show_default=True, metavar="HOST:PORT", help="where to listen")
@says_what_to_do
def run_command(bind: str) -> None:
    """Serve. Development migrates before; without DATABASE_URL its database is an embedded one, with an admin."""
    settings = load()
    logs.configure(settings.log_level, as_json=settings.production)
    with database(settings) as url:
        if settings.app_env == "development":
            migrate(url)
        else:
            # A database that is away is said here and now; one that is behind is waited for, by /readyz.
            asyncio.run(_with_context(settings, url, Context.schema_version))
        if settings.app_env == "development" and settings.database_url is None:
            asyncio.run(_with_context(settings, url, _with_an_admin))
        edge = create_asgi(settings, url)
        run(
            edge,
            _server_config(settings, bind),
            on_ready=_announce,
            on_stop=edge.drain,
        )


@main.command("create-admin")
@click.option("--username", prompt=True)
@click.option("--email", prompt=True)
@click.password_option(help="asked for when it is not given, which keeps it out of the shell's history")
@says_what_to_do
def create_admin(username: str, email: str, password: str) -> None:
    """Make an account that is an administrator."""
    try:
        form = NewUser(username=username, email=email, password=password)
    except ValidationError as error:
        faults = [f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors(include_input=False)]
        raise ConfigurationError(faults) from None
    settings = load()
    with database(settings) as url:
        asyncio.run(_with_context(settings, url, lambda context: _add_admin(context, form)))
    say(f"admin {form.username} <{form.email}> made")


@main.command("purge")
@says_what_to_do
def purge_command() -> None:
    """Remove what is over, as the service does by itself: expired sessions, revocations, rate counts, failed logins and
    kept answers, and deleted accounts and posts that were too large to go at once.
    """
    settings = load()
    with database(settings) as url:
        asyncio.run(_with_context(settings, url, _purge))


async def _with_context(settings: Settings, url: str, work: Callable[[Context], Any]) -> None:
    async with open_context(settings, url) as context:
        await work(context)


async def _with_an_admin(context: Context) -> None:
    """See to it that there is an admin to log in as, on a database that is nobody else's."""
    if await context.reading.users.has_admin():
        return
    password = secrets.token_urlsafe(12)
    await users.register(context, username="admin", email="admin@example.com", password=password, role="admin")
    say(f"admin made: email admin@example.com, password {password}  (shown this once)")


async def _add_admin(context: Context, form: NewUser) -> None:
    await context.check_schema()
    await users.register(context, username=form.username, email=form.email, password=form.password, role="admin")


async def _purge(context: Context) -> None:
    await context.check_schema()
    say(f"{await purge(context)} rows removed")


def _server_config(settings: Settings, bind: str) -> ServerConfig:
    config = ServerConfig()
    config.bind = [bind]
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


def _announce(address: str) -> None:
    say(f"{address if address.startswith('unix:') else 'http://' + address}  (Ctrl-C stops it)")

"""The `postern` command. Whatever goes wrong before the service runs is said in one line, with what to do about it."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import click
from pydantic import SecretStr, ValidationError

from service import __version__, logs
from service.api.schemas import NewUser
from service.config import SECRET_KEY_BYTES, ConfigurationError, Settings
from service.context import Context, NotReady, open_context, token_codec
from service.database import data_folder, database
from service.edge import before_the_app
from service.embedded import EmbeddedPostgresError
from service.errors import ServiceError
from service.server.http1 import ServerConfig
from service.server.run import CannotServe, run
from service.services import users
from service.stack import create_asgi


def says_what_to_do(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what people can mend into lines on standard error and exit status 1."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except ConfigurationError as error:
            sys.exit("\n".join(f"postern: {fault}" for fault in error.faults))
        except (CannotServe, EmbeddedPostgresError, NotReady) as error:
            sys.exit(f"postern: {error}")
        except ServiceError as error:
            sys.exit(f"postern: {error.title}")
        except OSError as error:
            sys.exit(f"postern: {error.strerror or error}: {error.filename}")

    return wrapped


@click.group()
@click.version_option(__version__)
def main() -> None:
    """Accounts, tokens, posts and comments over HTTP. Settings come from the environment and `.env` (README)."""


@main.command("run")
@click.option("--bind", default="127.0.0.1:8000", show_default=True, metavar="HOST:PORT", help="where to listen")
@says_what_to_do
def run_command(bind: str) -> None:
    """Serve. Development migrates before; without DATABASE_URL its database is an embedded one, with an admin."""
    settings = _load()
    logs.configure(settings.log_level, as_json=settings.production)
    with database(settings) as url:
        if settings.app_env == "development":
            _migrate(url)
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
    settings = _load()
    with database(settings) as url:
        asyncio.run(_with_context(settings, url, lambda context: _add_admin(context, form)))
    _say(f"admin {form.username} <{form.email}> made")


def _load() -> Settings:
    """Read the settings; in development the signing key is kept, so that a restart logs nobody out."""
    settings = Settings.load()
    if settings.app_env == "development" and not settings.names_its_secret:
        secret = SecretStr(_kept_secret(data_folder() / "secret_key"))
        settings = settings.model_copy(update={"secret_key": secret})
    token_codec(settings)  # keys that can't be used are said before anything is started
    return settings


def _kept_secret(file: Path) -> str:
    """Return what the file keeps; whoever starts first writes it, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent) as made:  # of mode 0600
        made.write(secrets.token_urlsafe(32))
        made.flush()
        with suppress(FileExistsError):
            os.link(made.name, file)
    kept = file.read_text()
    if len(kept) < SECRET_KEY_BYTES:
        raise ConfigurationError([f"{file} holds no key: remove it, and a new one is made"])
    return kept


def _migrate(url: str) -> None:
    """Run what `alembic upgrade head` runs, on this database."""
    root = Path(__file__).resolve().parent.parent
    if not (root / "alembic.ini").is_file():
        raise NotReady("no migrations here: run in a checkout, or set APP_ENV=production and migrate before")
    config = alembic.config.Config(root / "alembic.ini", attributes={"database_url": url})
    try:
        alembic.command.upgrade(config, "head")
    except SystemExit as error:  # how alembic/env.py ends the command of that name
        raise NotReady(str(error)) from None


async def _with_context(settings: Settings, url: str, work: Callable[[Context], Any]) -> None:
    async with open_context(settings, url) as context:
        await work(context)


async def _with_an_admin(context: Context) -> None:
    """See to it that there is an admin to log in as, on a database that is nobody else's."""
    async with context.reading() as reading:
        if await reading.users.has_admin():
            return
    password = secrets.token_urlsafe(12)
    await users.register(context, username="admin", email="admin@example.com", password=password, role="admin")
    _say(f"admin made: email admin@example.com, password {password}  (shown this once)")


async def _add_admin(context: Context, form: NewUser) -> None:
    await context.check_schema()
    await users.register(context, username=form.username, email=form.email, password=form.password, role="admin")


def _server_config(settings: Settings, bind: str) -> ServerConfig:
    config = ServerConfig()
    config.bind = [bind]
    config.refuse = before_the_app
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.backlog = 2048
    config.keep_alive_timeout = settings.keep_alive_seconds
    config.keep_alive_max_requests = sys.maxsize
    config.graceful_timeout = settings.shutdown_seconds
    # The edge says 414 and 431; the parser's own limit only has to come after the edge's.
    config.h11_max_incomplete_size = 2 * (settings.header_limit_bytes + settings.url_limit_bytes)
    return config


def _announce(address: str) -> None:
    _say(f"{address if address.startswith('unix:') else 'http://' + address}  (Ctrl-C stops it)")


def _say(line: str) -> None:
    click.echo(f"postern: {line}")

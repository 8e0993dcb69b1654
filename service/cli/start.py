"""What commands begin with: the settings, migrations, and faults that are said in lines."""

from __future__ import annotations

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

import click
from pydantic import SecretStr

from service.config import SECRET_KEY_BYTES, ConfigurationError, Settings
from service.context import Context, NotReady, open_context, token_codec
from service.database import data_folder
from service.embedded import EmbeddedPostgresError
from service.errors import ServiceError
from service.server.run import CannotServe


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
            faults = [f"{fault.pointer.removeprefix('/')}: {fault.message}" for fault in error.faults]
            sys.exit("\n".join(f"postern: {fault}" for fault in faults or [error.title]))
        except OSError as error:
            sys.exit(f"postern: {error.strerror or error}{f': {error.filename}' if error.filename else ''}")

    return wrapped


def load() -> Settings:
    """Read the settings; in development the signing key is kept, so that a restart logs nobody out."""
    settings = Settings.load()
    if settings.app_env == "development" and not settings.names_its_secret:
        secret = SecretStr(_kept_secret(data_folder() / "secret_key"))
        settings = settings.model_copy(update={"secret_key": secret})
    token_codec(settings)  # keys that can't be used are said before anything is started
    return settings


def migrate(url: str) -> None:
    """Run what `alembic upgrade head` runs, on this database."""
    logging.getLogger("alembic").setLevel("WARNING")  # it announces what goes well, its import included
    # Production migrates by a command of its own, and to import this takes a tenth of its start.
    import alembic.command  # noqa: PLC0415
    import alembic.config  # noqa: PLC0415

    root = Path(__file__).resolve().parents[2]
    if not (root / "alembic.ini").is_file():
        raise NotReady("no migrations here: run in a checkout, or set APP_ENV=production and migrate before")
    config = alembic.config.Config(root / "alembic.ini", attributes={"database_url": url})
    try:
        alembic.command.upgrade(config, "head")
    except SystemExit as error:  # how alembic/env.py ends the command of that name
        raise NotReady(str(error)) from None


async def with_context(settings: Settings, url: str, work: Callable[[Context], Any]) -> None:
    """Do something with a context of its own."""
    async with open_context(settings, url) as context:
        await work(context)


def write_once(file: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all.

    Raises:
        FileExistsError: it is there already, and stays as it is.
    """
    with tempfile.NamedTemporaryFile(dir=file.parent) as made:  # of mode 0600
        made.write(content)
        made.flush()
        os.fsync(made.fileno())
        os.link(made.name, file)


def say(line: str) -> None:
    """Tell the operator one thing."""
    click.echo(f"postern: {line}")


def _kept_secret(file: Path) -> str:
    """Return what the file keeps; whoever starts first writes it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        write_once(file, secrets.token_urlsafe(32).encode())
    kept = file.read_text()
    if len(kept) < SECRET_KEY_BYTES:
        raise ConfigurationError([f"{file} holds no key: remove it, and a new one is made"])
    return kept

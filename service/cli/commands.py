"""The `postern` command: administrators, what has expired, and the commands of the modules beside this one."""

from __future__ import annotations

import asyncio

import click
from pydantic import ValidationError

from service import __version__
from service.api.schemas.users import NewUser
from service.cli.keys import keys
from service.cli.seed import seed_command
from service.cli.serving import run_command
from service.cli.start import load, say, says_what_to_do, with_context
from service.config import ConfigurationError
from service.context import Context
from service.database import database
from service.services import users
from service.services.purge import purge


@click.group()
@click.version_option(__version__)
def main() -> None:
    """Accounts, tokens, posts and comments over HTTP. Settings come from the environment and `.env` (README)."""


main.add_command(run_command)
main.add_command(keys)
main.add_command(seed_command)


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
        asyncio.run(with_context(settings, url, lambda context: _add_admin(context, form)))
    say(f"admin {form.username} <{form.email}> made")


@main.command("purge")
@says_what_to_do
def purge_command() -> None:
    """Remove what is over, as the service does by itself: expired sessions, revocations, rate counts, failed logins and
    kept answers, and deleted accounts and posts that were too large to go at once.
    """
    settings = load()
    with database(settings) as url:
        asyncio.run(with_context(settings, url, _purge))


async def _add_admin(context: Context, form: NewUser) -> None:
    await context.check_schema()
    await users.register(context, username=form.username, email=form.email, password=form.password, role="admin")


async def _purge(context: Context) -> None:
    await context.check_schema()
    say(f"{await purge(context)} rows removed")

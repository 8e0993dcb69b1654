"""`postern seed`: accounts, posts and comments that look like life's, as many as asked for."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import click
from pydantic import ValidationError

from service.api.schemas.users import NewUser
from service.cli.start import load, migrate, say, says_what_to_do
from service.config import ConfigurationError, Settings
from service.context import NotReady, open_context
from service.database import database
from service.seeding.people import email
from service.seeding.rows import DISABLED_EACH
from service.services.seeding import SeedingStopped, Wanted, seed

_DRAWN_SEEDS = 1_000_000
_COUNT = click.IntRange(0, 10_000_000)
_NO_LIMITS = {"statement_seconds": 0, "idle_in_transaction_seconds": 0}
_IN_PRODUCTION = (
    "this is production (APP_ENV), and all the accounts would share one password:"
    " say --yes-in-production if you want them here"
)


@click.command("seed")
@click.option("--users", type=click.IntRange(1, _COUNT.max), default=1000, show_default=True)
@click.option("--posts", type=_COUNT, default=3000, show_default=True)
@click.option("--comments", type=_COUNT, default=6000, show_default=True)
@click.option(
    "--random-seed",
    "number",
    type=click.IntRange(0, 2**32 - 1),
    metavar="N",
    help="what all is drawn from; once in a database  [default: another each time, which is told]",
)
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]),
    help="UTC; when the last of it happened: with a --random-seed the same times again  [default: now]",
)
@click.option("--password", help="of all accounts  [default: a new one, which is told]")
@click.option("--yes-in-production", is_flag=True, help="make accounts that share a password in production, too")
@says_what_to_do
def seed_command(
    *,
    users: int,
    posts: int,
    comments: int,
    number: int | None,
    until: datetime | None,
    password: str | None,
    yes_in_production: bool,
) -> None:
    """Fill the database: all of it or nothing. Development migrates before, as `run` does."""
    if comments and not posts:
        raise ConfigurationError(["--comments needs --posts for them to be on"])
    settings = load()
    if settings.production and not yes_in_production:
        raise ConfigurationError([_IN_PRODUCTION])
    number = secrets.randbelow(_DRAWN_SEEDS) if number is None else number
    wanted = Wanted(users, posts, comments, number, until.replace(tzinfo=UTC) if until else None)
    password = secrets.token_urlsafe(12) if password is None else password
    _check(wanted, password)
    with database(settings) as url:
        if settings.app_env == "development":
            migrate(url)
        began = time.monotonic()
        in_order = _run(settings, url, wanted, password)
        seconds = time.monotonic() - began
    say(f"{users} users, {posts} posts and {comments} comments made in {seconds:.1f} s, with --random-seed {number}")
    say(f"log in as {email(1, number)} up to {email(users, number)}, password {password}")
    if users >= DISABLED_EACH:
        say(f"every {DISABLED_EACH}th account is disabled")
    if not in_order:
        say("the tables are another role's: let it run VACUUM (ANALYZE) users, posts, comments")


def _check(wanted: Wanted, password: str) -> None:
    """Refuse a password that nobody could register with."""
    try:
        NewUser(username="user1", email=email(1, wanted.seed), password=password)
    except ValidationError as error:
        raise ConfigurationError([f"password: {fault['msg']}" for fault in error.errors(include_input=False)]) from None


def _run(settings: Settings, url: str, wanted: Wanted, password: str) -> bool:
    """Seed, with a bar on a terminal; whatever ends it early is said in a line."""
    unlimited = settings.model_copy(update=_NO_LIMITS)
    try:
        with click.progressbar(
            length=wanted.rows, label="seeding", file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as bar:
            return asyncio.run(_seed(unlimited, url, wanted, password, bar.update))
    except KeyboardInterrupt:  # before there was anything to stop, or for the second time
        raise NotReady("interrupted: what was not committed by then is not made") from None
    except SeedingStopped as error:
        raise NotReady(str(error)) from None


async def _seed(settings: Settings, url: str, wanted: Wanted, password: str, progress: Callable[[int], None]) -> bool:
    async with open_context(settings, url) as context:
        await context.check_schema()
        return await seed(context, wanted, password=password, progress=progress)

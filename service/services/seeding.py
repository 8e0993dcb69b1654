"""Use case: fill the database with rows that look like life's, for load tests and for trying things out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from service.context import Context
from service.errors import EmailTaken, FieldFault, Unavailable, UsernameTaken, ValidationFailed
from service.repositories.unit_of_work import UnitOfWork
from service.seeding.history import Plan
from service.seeding.people import email
from service.seeding.rows import Rows, moment_of
from service.services.password_rules import check_new_password

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Ids of posts hold no time before 1970, and it all begins three years before its end."""


class SeedingStopped(Exception):
    """It ended before its end. The message says why, and what of it is in the database."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made: how many rows of each kind, out of which number, and when the last of them happened.

    Without ``until`` that is now, by the database's clock.
    """

    users: int
    posts: int
    comments: int
    seed: int
    until: datetime | None = None

    @property
    def rows(self) -> int:
        """All of them together."""
        return self.users + self.posts + self.comments


async def seed(context: Context, wanted: Wanted, *, password: str, progress: Callable[[int], None]) -> bool:
    """Make all of it or nothing, in one transaction; ``progress`` is told how many more rows are there.

    All accounts have this password. Returns whether the tables are in order for whoever reads them: they are not when
    they belong to somebody else. The context's time-outs must allow for it.

    Raises:
        ValidationFailed: the password is too easy to guess, or the end is in the future or before `EARLIEST`.
        SeedingStopped: the database was lost, it was cancelled, or names are taken.
    """
    check_new_password(password, username="", email=email(1, wanted.seed), pointer="/password")
    made = "nothing was made"
    try:
        async with context.passwords.place():
            password_hash = await context.passwords.hash(password)
        async with context.transaction() as work:
            await _copy(work, wanted, password_hash, progress)
            made = f"if there is a {email(1, wanted.seed)} all rows were made, else none"
        made = "all rows were made"
        async with context.maintaining() as maintaining:
            return await maintaining.upkeep.vacuum()
    except (EmailTaken, UsernameTaken) as error:
        taken = f"names of --random-seed {wanted.seed} are taken, it was probably used before"
        raise SeedingStopped(f"{taken}: {made}; take another") from error
    except (Unavailable, asyncio.CancelledError) as error:
        # Who is cancelled in the middle of a COPY may hear of it as an error of the database, which ended it.
        task = asyncio.current_task()
        is_cancelled = task is not None and task.cancelling() > 0
        why = "interrupted" if is_cancelled else "the database was lost or refused"
        raise SeedingStopped(f"{why}: {made}") from error


async def _copy(work: UnitOfWork, wanted: Wanted, password_hash: str, progress: Callable[[int], None]) -> None:
    now = await work.copying.now()
    until = wanted.until or now
    if not EARLIEST <= until <= now:
        raise ValidationFailed(
            faults=(FieldFault("/until", "range", f"Not before {EARLIEST.year}, nor in the future"),)
        )
    plan = Plan(wanted.users, wanted.posts, wanted.comments, wanted.seed, moment_of(until))
    rows = await asyncio.to_thread(Rows, plan, await work.copying.new_user_ids(wanted.users))
    async for copied in work.copying.users(rows.users(password_hash)):
        progress(copied)
    async for copied in work.copying.posts(rows.posts()):
        progress(copied)
    async for copied in work.copying.comments(rows.comments()):
        progress(copied)

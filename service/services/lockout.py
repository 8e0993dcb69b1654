"""The lock on guessing: so many failed logins in a row, and nobody can log in to the account for a while (ADR 0007).

Ten failures lock an account for the network they came from, a hundred for all networks. No network adds more than its
ten to the hundred, so that whoever has one locks nobody out of another; once there are a hundred, each further failure
makes that lock longer, wherever it comes from. Sessions are never touched.
"""

from __future__ import annotations

import datetime
import math
import uuid
from dataclasses import dataclass
from typing import Self

from service.context import Context
from service.errors import RateLimited
from service.repositories.failures import Tally
from service.repositories.unit_of_work import UnitOfWork
from service.services.limits import spent

ANYWHERE = ""
FAILURES_OF_NETWORK = 10
FAILURES_FROM_ANYWHERE = 100
FIRST_LOCK = datetime.timedelta(seconds=30)
LONGEST_LOCK = datetime.timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Target:
    """An account that somebody tries to log in to, from a network. The account need not exist."""

    account: str
    network: str

    @classmethod
    def within(cls, session_id: uuid.UUID) -> Self:
        """Return what guesses from within a session are counted for: they lock nobody else out, from wherever."""
        return cls(f"session:{session_id}", "session")

    @property
    def networks(self) -> tuple[str, str]:
        """Where failures are counted."""
        return ANYWHERE, self.network


async def refuse_locked(context: Context, target: Target) -> None:
    """Refuse whoever tries while there is a lock, before the password is looked at.

    Raises:
        RateLimited: there is one.
    """
    if context.settings.rate_limit_enabled:
        _refuse(await context.reading.failures.of(target.account, target.networks))


async def fail(context: Context, target: Target) -> RateLimited | None:
    """Count a wrong password; return what to answer in place of saying so.

    That is when a lock came while the password was being checked: what was in flight when the tenth failed is to learn
    nothing.
    """
    if not context.settings.rate_limit_enabled:
        return None
    async with context.transaction() as work:
        tallies = await work.failures.open(target.account, target.networks)
        if (locked_seconds := _locked_seconds(tallies)) > 0:
            return _locked(locked_seconds)
        here = tallies[target.network].failures + 1
        await _count(work, target.account, target.network, here, limit=FAILURES_OF_NETWORK)
        anywhere = tallies[ANYWHERE].failures
        if here <= FAILURES_OF_NETWORK or anywhere >= FAILURES_FROM_ANYWHERE:
            await _count(work, target.account, ANYWHERE, anywhere + 1, limit=FAILURES_FROM_ANYWHERE)
    return None


async def succeed(work: UnitOfWork, context: Context, target: Target) -> None:
    """Begin anew to count, since the password was right.

    Raises:
        RateLimited: a lock came while it was being checked.
    """
    if not context.settings.rate_limit_enabled:
        return
    tallies = await work.failures.lock(target.account, target.networks)
    _refuse(tallies)
    if tallies:
        # Only what is locked: to wait for a tally that has come since, behind one that is held, is a deadlock.
        await work.failures.forget(target.account, tallies)


def lock_after(failures: int, limit: int) -> datetime.timedelta | None:
    """Return for how long so many failures in a row lock: at the limit for 30 s, doubled by each one more."""
    if failures < limit:
        return None
    doubled = min(failures - limit, 5)  # 30 s times 32 is past the longest
    return min(FIRST_LOCK * int(2**doubled), LONGEST_LOCK)


async def _count(work: UnitOfWork, account: str, network: str, failures: int, *, limit: int) -> None:
    await work.failures.set(account, network, failures=failures, lock=lock_after(failures, limit))


def _refuse(tallies: dict[str, Tally]) -> None:
    if (locked_seconds := _locked_seconds(tallies)) > 0:
        raise _locked(locked_seconds)


def _locked_seconds(tallies: dict[str, Tally]) -> float:
    return max((tally.locked_seconds for tally in tallies.values()), default=0.0)


def _locked(seconds: float) -> RateLimited:
    spent(math.ceil(seconds))
    return RateLimited("Too many failed logins", retry_after_seconds=math.ceil(seconds))

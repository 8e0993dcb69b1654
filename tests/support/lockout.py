"""The lock on guessing, as whoever guesses brings it about."""

from __future__ import annotations

import asyncpg
import httpx
from tests.support.attempts import log_in
from tests.support.problems import assert_problem

NETWORK = "198.51.100."
NOBODY = "nobody@example.com"


async def fail(client: httpx.AsyncClient, email: str, times: int = 10, network: str = NETWORK) -> None:
    """Log in with wrong passwords, each time from another address of one network."""
    for number in range(times):
        answer = await log_in(client, email, f"wrong{number}", address=f"{network}{number + 1}")
        assert_problem(answer, 401, "INVALID_CREDENTIALS")


def assert_locked(answer: httpx.Response, *, seconds: int = 30) -> None:
    assert_problem(answer, 429, "RATE_LIMITED", "Too many failed logins")
    assert seconds - 10 <= int(answer.headers["retry-after"]) <= seconds


async def let_locks_end(database: asyncpg.Connection) -> None:
    await database.execute("UPDATE login_failures SET locked_until = now() WHERE locked_until > now()")


async def tallies(database: asyncpg.Connection) -> dict[str, int]:
    """Failures by network; the network "" stands for all of them."""
    return {row["network"]: row["failures"] for row in await database.fetch("SELECT * FROM login_failures")}

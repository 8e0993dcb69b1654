"""What a login costs: one hash whoever asks, a new one where the stored one is outdated, nothing at a full queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import argon2
import asyncpg
import httpx
import pytest
from tests.support.accounts import PASSWORD, PASSWORD_HASH, Accounts
from tests.support.attempts import ask_for_token, log_in
from tests.support.hashing import Hashing
from tests.support.instances import Serve
from tests.support.problems import assert_problem
from tests.support.sessions import change_password
from tests.support.statements import statements_of

TODAY = {"hash_passes": 2, "hash_memory_kib": 16}
"""Parameters that PASSWORD_HASH does not have."""


@pytest.fixture
async def dearer(serve: Serve, database: asyncpg.Connection) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with parameters of today."""
    async with serve(**TODAY) as instance:
        yield instance.client


async def stored(database: asyncpg.Connection) -> asyncpg.Record:
    return await database.fetchrow("SELECT * FROM users")


# One hash


@pytest.mark.parametrize(
    ("email", "password", "status"),
    [
        ("ann@example.com", PASSWORD, 200),
        ("ann@example.com", "wrong", 401),
        ("nobody@example.com", PASSWORD, 401),
        ("x" * 5000, PASSWORD, 401),
        ("bob@example.com", PASSWORD, 403),
        ("bob@example.com", "wrong", 401),
    ],
    ids=["right", "wrong", "unknown", "too long", "disabled and right", "disabled and wrong"],
)
async def test_a_login_costs_one_hash(
    client: httpx.AsyncClient, accounts: Accounts, hashing: Hashing, email: str, password: str, status: int
) -> None:
    await accounts.add("ann")
    await accounts.add("bob", is_active=False)

    assert (await log_in(client, email, password)).status_code == status
    assert len(hashing.run) == 1
    assert hashing.made == 0


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "!",
        PASSWORD,
        "é" * 1000,
        "$argon2id$v=19$m=8,t=1,p=1$bad",
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$",
        "$argon2id$v=19$m=8,t=0,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ",
        "$2b$12$KIXQ4O8h6gS4QhV8KpQ5Ue5m8Hq1Q6b0bq5m8Hq1Q6b0bq5m8Hq1Q",
        PASSWORD_HASH + "\n",
        PASSWORD_HASH[:-1],
    ],
)
async def test_a_malformed_stored_hash_costs_one_hash(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, hashing: Hashing, malformed: str
) -> None:
    ann = await accounts.add("ann")
    await database.execute("UPDATE users SET password_hash = $1", malformed)

    assert_problem(await log_in(client, ann.email), 401, "INVALID_CREDENTIALS")
    assert len(hashing.run) == 1
    assert (await stored(database))["password_hash"] == malformed


@pytest.mark.parametrize("cost", ["m=4194304,t=1,p=1", "m=8,t=4000000000,p=1", "m=8192,t=1,p=1000"])
async def test_an_absurdly_dear_stored_hash_is_not_checked(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, hashing: Hashing, cost: str
) -> None:
    ann = await accounts.add("ann")
    dear = f"$argon2id$v=19${cost}$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdHNhbHQ"
    await database.execute("UPDATE users SET password_hash = $1", dear)

    assert_problem(await log_in(client, ann.email), 401, "INVALID_CREDENTIALS")
    assert dear not in hashing.asked
    assert len(hashing.run) == 1


# Outdated hashes


async def test_an_outdated_hash_is_renewed_at_login(
    dearer: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, hashing: Hashing
) -> None:
    ann = await accounts.add("ann")
    before = dict(await stored(database))

    answer = await log_in(dearer, ann.email)

    after = dict(await stored(database))
    assert answer.status_code == 200
    assert after["password_hash"].startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert {name for name in after if after[name] != before[name]} == {"password_hash"}
    assert after["updated_at"].isoformat().startswith(answer.json()["user"]["updated_at"].removesuffix("Z"))
    assert (len(hashing.run), hashing.made) == (1, 1)


async def test_a_renewed_hash_is_of_the_same_password_and_stays(
    dearer: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.add("ann")
    await log_in(dearer, ann.email)
    renewed = await stored(database)

    assert (await log_in(dearer, ann.email)).status_code == 200
    assert_problem(await log_in(dearer, ann.email, "wrong"), 401, "INVALID_CREDENTIALS")
    assert await stored(database) == renewed


async def test_a_hash_is_renewed_on_oauths_route_too(
    dearer: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    await accounts.add("ann")
    await ask_for_token(dearer, grant_type="password", username="ann", password=PASSWORD)

    assert "m=16,t=2" in (await stored(database))["password_hash"]


async def test_a_wrong_password_renews_nothing(
    dearer: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, hashing: Hashing
) -> None:
    ann = await accounts.add("ann")

    assert_problem(await log_in(dearer, ann.email, "wrong"), 401, "INVALID_CREDENTIALS")
    assert (await stored(database))["password_hash"] == PASSWORD_HASH
    assert hashing.made == 0


async def test_the_hash_of_a_disabled_account_is_not_renewed(
    dearer: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, hashing: Hashing
) -> None:
    bob = await accounts.add("bob", is_active=False)

    assert_problem(await log_in(dearer, bob.email), 403, "ACCOUNT_DISABLED")
    assert (await stored(database))["password_hash"] == PASSWORD_HASH
    assert hashing.made == 0


async def test_an_account_that_is_disabled_while_its_hash_is_renewed_keeps_the_old_one(
    dearer: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, hashing: Hashing
) -> None:
    ann = await accounts.add("ann")
    hashing.hold()
    pending = asyncio.create_task(log_in(dearer, ann.email))
    await hashing.until_asked(1)
    await database.execute("UPDATE users SET is_active = false")
    hashing.go_on()

    assert_problem(await pending, 403, "ACCOUNT_DISABLED")
    assert (await stored(database))["password_hash"] == PASSWORD_HASH
    assert await database.fetchval("SELECT count(*) FROM sessions") == 0


async def test_a_password_that_changes_while_it_is_checked_lets_nobody_in(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, hashing: Hashing
) -> None:
    ann = await accounts.signed_in("ann")
    hashing.hold()
    pending = asyncio.create_task(log_in(client, ann.email))
    await hashing.until_asked(2)  # the first was that of the session
    changing = asyncio.create_task(change_password(client, ann))
    await database.execute("UPDATE users SET password_hash = 'x'")
    hashing.go_on()

    assert_problem(await pending, 401, "INVALID_CREDENTIALS")
    assert (await changing).status_code == 400
    assert await database.fetchval("SELECT count(*) FROM sessions") == 1


async def test_logins_at_once_with_an_outdated_hash_all_succeed(
    serve: Serve, accounts: Accounts, database: asyncpg.Connection
) -> None:
    async with serve(**TODAY) as one, serve(**TODAY) as two:
        for round_ in range(5):
            ann = await accounts.add(f"ann{round_}")
            answers = await asyncio.gather(*(log_in(other.client, ann.email) for other in (one, two, one, two)))
            assert {answer.status_code for answer in answers} == {200}

    assert await database.fetchval("SELECT bool_and(password_hash LIKE '%m=16,t=2,%') FROM users")
    assert await database.fetchval("SELECT count(*) FROM sessions") == 20


@pytest.mark.parametrize("changing", [False, True], ids=["login", "change of password"])
async def test_whoever_meets_another_hash_of_the_password_again_and_again_is_sent_away(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, hashing: Hashing, changing: bool
) -> None:
    ann = await accounts.signed_in("ann")
    hashes = [argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD) for _ in range(3)]
    hashing.hold()
    pending = asyncio.create_task(change_password(client, ann) if changing else log_in(client, ann.email))
    for number, another in enumerate(hashes):
        await hashing.until_asked(2 + number)  # the first was that of the session
        await database.execute("UPDATE users SET password_hash = $1", another)
        hashing.step()

    assert_problem(await pending, 503, "UNAVAILABLE")
    assert (await stored(database))["password_hash"] == hashes[-1]
    assert await database.fetchval("SELECT count(*) FROM sessions") == 1


# A full queue


@pytest.mark.parametrize(
    ("limited", "asked"), [(False, []), (True, ["INSERT INTO rate_counts"] * 2)], ids=["without rates", "with rates"]
)
async def test_a_full_queue_asks_the_database_for_nothing_but_the_rate_of_an_address(
    serve: Serve, accounts: Accounts, hashing: Hashing, limited: bool, asked: list[str]
) -> None:
    ann = await accounts.add("ann")
    async with serve(hash_threads=1, hash_queue=0, rate_limit_enabled=limited) as instance:
        hashing.hold()
        place = asyncio.create_task(log_in(instance.client, ann.email))
        await hashing.until_asked(1)
        with statements_of(instance.context) as sent:
            answers = [await log_in(instance.client, email) for email in (ann.email, "nobody@example.com")]
        assert [" ".join(statement.split()[:3]) for statement, _ in sent] == asked
        hashing.go_on()
        assert (await place).status_code == 200
        assert (await log_in(instance.client, ann.email)).status_code == 200

    for answer in answers:
        assert_problem(answer, 503, "UNAVAILABLE")
        assert int(answer.headers["retry-after"]) >= 1


async def test_a_full_queue_refuses_registrations_and_changes_of_passwords(
    serve: Serve, accounts: Accounts, database: asyncpg.Connection, hashing: Hashing
) -> None:
    ann = await accounts.signed_in("ann")
    async with serve(hash_threads=1, hash_queue=0) as instance:
        hashing.hold()
        place = asyncio.create_task(log_in(instance.client, ann.email))
        await hashing.until_asked(2)
        new = {"username": "bob", "email": "bob@example.com", "password": PASSWORD}
        answers = [await instance.client.post("/api/users/", json=new), await change_password(instance.client, ann)]
        hashing.go_on()
        assert (await place).status_code == 200

    for answer in answers:
        assert_problem(answer, 503, "UNAVAILABLE")
    assert (await stored(database))["password_hash"] == PASSWORD_HASH
    assert await database.fetchval("SELECT count(*) FROM users") == 1


async def test_who_waits_too_long_for_a_hash_is_refused_and_counts_as_no_failure(
    serve: Serve, accounts: Accounts, database: asyncpg.Connection, hashing: Hashing
) -> None:
    ann = await accounts.add("ann")
    async with serve(hash_threads=1, hash_wait_seconds=0.05, rate_limit_enabled=True) as instance:
        hashing.hold()
        place = asyncio.create_task(log_in(instance.client, ann.email))
        await hashing.until_asked(1)
        answer = await log_in(instance.client, ann.email, "wrong")
        hashing.go_on()
        assert (await place).status_code == 200

    assert_problem(answer, 503, "UNAVAILABLE")
    assert await database.fetchval("SELECT count(*) FROM login_failures") == 0

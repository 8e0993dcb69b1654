from __future__ import annotations

import asyncio

import asyncpg
import httpx
import pytest
from tests.support.accounts import PASSWORD, Account, Accounts
from tests.support.attempts import ADDRESS, ask_for_token, forwarded, log_in
from tests.support.hashing import Hashing
from tests.support.lockout import NETWORK, NOBODY, assert_locked, fail, let_locks_end, tallies
from tests.support.problems import assert_problem
from tests.support.sessions import NEW_PASSWORD, change_password, me, refresh, with_tokens


@pytest.fixture
async def ann(accounts: Accounts) -> Account:
    return await accounts.add("ann")


async def test_ten_failures_in_a_row_lock_the_network_out(
    locking: httpx.AsyncClient, ann: Account, database: asyncpg.Connection
) -> None:
    await fail(locking, ann.email)

    assert_locked(await log_in(locking, ann.email))
    assert_locked(await log_in(locking, ann.email, address=f"{NETWORK}200"))
    assert await database.fetchval("SELECT count(*) FROM sessions") == 0
    assert await tallies(database) == {"": 10, "198.51.100.0/24": 10}


async def test_a_lock_answers_right_wrong_and_unknown_alike(
    locking: httpx.AsyncClient, ann: Account, hashing: Hashing
) -> None:
    for email in (ann.email, NOBODY):
        await fail(locking, email)
    hashing.asked.clear()

    headers = forwarded(ADDRESS) | {"X-Request-ID": "same-request"}
    tried = [(ann.email, PASSWORD), (ann.email, "wrong"), (NOBODY, PASSWORD)]
    answers = [
        await locking.post("/api/auth/login", json={"email": email, "password": password}, headers=headers)
        for email, password in tried
    ]

    for answer in answers:
        assert_locked(answer)
    assert len({answer.content for answer in answers}) == 1
    counts = ("retry-after", "ratelimit-remaining", "ratelimit-reset")
    assert len({str([item for item in answer.headers.items() if item[0] not in counts]) for answer in answers}) == 1
    assert hashing.asked == []


async def test_a_disabled_account_is_locked_like_any_other(locking: httpx.AsyncClient, accounts: Accounts) -> None:
    bob = await accounts.add("bob", is_active=False)
    await fail(locking, bob.email)

    assert_locked(await log_in(locking, bob.email))


async def test_the_right_password_of_a_disabled_account_begins_the_count_anew(
    locking: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    bob = await accounts.add("bob", is_active=False)
    await fail(locking, bob.email, 9)

    assert_problem(await log_in(locking, bob.email), 403, "ACCOUNT_DISABLED")
    assert await tallies(database) == {}


async def test_attempts_under_a_lock_do_not_count(
    locking: httpx.AsyncClient, ann: Account, database: asyncpg.Connection
) -> None:
    await fail(locking, ann.email)
    before = await database.fetch("SELECT * FROM login_failures ORDER BY network")
    for _ in range(5):
        assert_locked(await log_in(locking, ann.email, "wrong"))

    assert await database.fetch("SELECT * FROM login_failures ORDER BY network") == before


async def test_a_success_begins_anew_to_count(
    locking: httpx.AsyncClient, ann: Account, database: asyncpg.Connection
) -> None:
    await fail(locking, ann.email, 9)
    assert (await log_in(locking, ann.email)).status_code == 200
    assert await tallies(database) == {}

    await fail(locking, ann.email, 9)
    assert (await log_in(locking, ann.email)).status_code == 200


async def test_another_account_is_not_touched(locking: httpx.AsyncClient, ann: Account, accounts: Accounts) -> None:
    bob = await accounts.add("bob")
    await fail(locking, ann.email)

    assert (await log_in(locking, bob.email)).status_code == 200


@pytest.mark.parametrize("other", ["198.51.101.1", "2001:db8::1"])
async def test_another_network_still_logs_in(locking: httpx.AsyncClient, ann: Account, other: str) -> None:
    await fail(locking, ann.email)

    assert (await log_in(locking, ann.email, address=other)).status_code == 200
    assert_locked(await log_in(locking, ann.email))


@pytest.mark.parametrize(
    ("address", "locked"), [("2001:db8:1:2:ff::1", True), ("2001:db8:1:3::1", False), ("198.51.100.1", False)]
)
async def test_of_ipv6_a_network_is_a_64(locking: httpx.AsyncClient, ann: Account, address: str, locked: bool) -> None:
    await fail(locking, ann.email, network="2001:db8:1:2::")

    assert (await log_in(locking, ann.email, address=address)).status_code == (429 if locked else 200)


async def test_ipv4_in_ipv6_is_the_same_network(locking: httpx.AsyncClient, ann: Account) -> None:
    await fail(locking, ann.email, network=f"::ffff:{NETWORK}")

    assert_locked(await log_in(locking, ann.email, address=ADDRESS))


async def test_sessions_go_on_under_a_lock(
    locking: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    await fail(locking, ann.email)
    await database.execute("UPDATE login_failures SET locked_until = now() + interval '15 minutes'")

    assert (await me(locking, ann)).status_code == 200
    ann = with_tokens(ann, await refresh(locking, ann))
    ann = with_tokens(ann, await change_password(locking, ann))
    assert (await me(locking, ann)).status_code == 200
    assert (await ask_for_token(locking, grant_type="refresh_token", refresh_token=ann.refresh_token)).is_success
    assert_locked(await log_in(locking, ann.email, NEW_PASSWORD, address="203.0.113.9"), seconds=900)


async def test_each_further_failure_locks_twice_as_long_up_to_15_minutes(
    locking: httpx.AsyncClient, ann: Account, database: asyncpg.Connection
) -> None:
    await fail(locking, ann.email, 9)
    for seconds in (30, 60, 120, 240, 480, 900, 900, 900):
        await fail(locking, ann.email, 1)
        left = "SELECT extract(epoch FROM locked_until - now()) FROM login_failures WHERE network <> ''"
        assert seconds - 5 < await database.fetchval(left) <= seconds
        assert_locked(await log_in(locking, ann.email), seconds=seconds)
        await let_locks_end(database)

    assert (await log_in(locking, ann.email)).status_code == 200


async def test_a_success_after_a_lock_begins_anew_with_thirty_seconds(
    locking: httpx.AsyncClient, ann: Account, database: asyncpg.Connection
) -> None:
    await fail(locking, ann.email)
    await let_locks_end(database)
    await fail(locking, ann.email, 1)
    await let_locks_end(database)
    assert (await log_in(locking, ann.email)).status_code == 200

    await fail(locking, ann.email)
    assert_locked(await log_in(locking, ann.email), seconds=30)


# From anywhere


async def test_one_network_never_adds_more_than_its_ten_to_the_hundred(
    locking: httpx.AsyncClient, ann: Account, database: asyncpg.Connection
) -> None:
    await fail(locking, ann.email)
    for _ in range(5):
        await let_locks_end(database)
        await fail(locking, ann.email, 1)

    assert await tallies(database) == {"": 10, "198.51.100.0/24": 15}


async def test_a_hundred_failures_from_ten_networks_lock_everywhere(
    locking: httpx.AsyncClient, ann: Account, database: asyncpg.Connection
) -> None:
    networks = [f"10.0.{number}." for number in range(9)] + ["2001:db8:1:2::"]
    await asyncio.gather(*(fail(locking, ann.email, network=network) for network in networks))

    assert_locked(await log_in(locking, ann.email, address="203.0.113.9"))
    assert_locked(await log_in(locking, ann.email, address="2001:db8:ffff::1"))
    assert (await tallies(database))[""] == 100
    # From then on every failure counts, or ten networks would guess ten times as fast as one.
    await let_locks_end(database)
    await fail(locking, ann.email, 1, networks[0])
    assert (await tallies(database))[""] == 101
    assert_locked(await log_in(locking, ann.email, address="203.0.113.9"), seconds=60)
    await let_locks_end(database)
    assert (await log_in(locking, ann.email, address="203.0.113.9")).status_code == 200


async def test_after_a_hundred_each_new_network_locks_everywhere_for_longer(
    locking: httpx.AsyncClient, ann: Account, database: asyncpg.Connection
) -> None:
    await fail(locking, ann.email, 1)
    await database.execute("UPDATE login_failures SET failures = 99 WHERE network = ''")
    for number, seconds in enumerate((30, 60, 120, 240, 480, 900, 900)):
        await fail(locking, ann.email, 1, f"10.1.{number}.")
        assert_locked(await log_in(locking, ann.email, address="203.0.113.9"), seconds=seconds)
        await let_locks_end(database)


async def test_a_success_from_one_network_leaves_the_counts_of_others(
    locking: httpx.AsyncClient, ann: Account, database: asyncpg.Connection
) -> None:
    await fail(locking, ann.email)
    assert (await log_in(locking, ann.email, address="203.0.113.9")).status_code == 200

    assert await tallies(database) == {"198.51.100.0/24": 10}
    assert_locked(await log_in(locking, ann.email))


# Both routes


async def test_failures_of_both_routes_count_for_one_account(
    locking: httpx.AsyncClient, ann: Account, database: asyncpg.Connection
) -> None:
    await fail(locking, ann.email, 4)
    for name in ("ann", "ANN", "ann@example.com", " Ann ", "\uff41nn", "ANN@example.com"):
        answer = await ask_for_token(locking, grant_type="password", username=name, password="wrong")
        assert answer.json()["error"] == "invalid_grant"

    assert_locked(await log_in(locking, ann.email))
    assert_locked(await ask_for_token(locking, grant_type="password", username="ann", password=PASSWORD))
    assert await tallies(database) == {"": 10, "198.51.100.0/24": 10}


async def test_an_unknown_name_is_locked_on_oauths_route_too(locking: httpx.AsyncClient, ann: Account) -> None:
    for _ in range(10):
        answer = await ask_for_token(locking, grant_type="password", username="nobody", password="wrong")
        assert answer.status_code == 400

    assert_locked(await ask_for_token(locking, grant_type="password", username="NOBODY", password="wrong"))


# What operators do


async def test_an_operator_who_deletes_the_rows_unlocks(
    locking: httpx.AsyncClient, ann: Account, database: asyncpg.Connection
) -> None:
    await fail(locking, ann.email)
    await database.execute("DELETE FROM login_failures WHERE account = $1", f"user:{ann.id}")

    assert (await log_in(locking, ann.email)).status_code == 200


async def test_without_limits_there_is_no_lock(
    client: httpx.AsyncClient, ann: Account, database: asyncpg.Connection
) -> None:
    await database.execute(
        "INSERT INTO login_failures VALUES ($1, '', 10, now() + interval '30 s', now() + interval '1 day')",
        f"user:{ann.id}",
    )

    assert (await log_in(client, ann.email)).status_code == 200


# From within a session


async def test_guessing_within_a_session_locks_that_session_out_of_changing_the_password(
    locking: httpx.AsyncClient, ann: Account, accounts: Accounts, database: asyncpg.Connection
) -> None:
    stolen, own = await accounts.log_in(ann), await accounts.log_in(ann)

    async def guess(password: str, address: str) -> httpx.Response:
        body = {"current_password": password, "new_password": NEW_PASSWORD}
        headers = stolen.headers | forwarded(address)
        return await locking.post("/api/auth/password", json=body, headers=headers)

    answers = [await guess("wrong", f"10.0.{number}.1") for number in range(10)]

    assert {answer.status_code for answer in answers} == {400}
    for password in ("wrong", PASSWORD):
        locked = await guess(password, "203.0.113.9")
        assert_locked(locked)
        assert locked.headers["ratelimit-remaining"] == "0"
        assert locked.headers["ratelimit-reset"] == locked.headers["retry-after"]
    assert (await me(locking, stolen)).status_code == 200
    assert (await log_in(locking, ann.email)).status_code == 200
    assert (await change_password(locking, own)).status_code == 200


async def test_a_right_password_within_a_session_begins_anew_to_count(
    locking: httpx.AsyncClient, ann: Account, accounts: Accounts, database: asyncpg.Connection
) -> None:
    session = await accounts.log_in(ann)
    for _ in range(9):
        assert (await change_password(locking, session, "wrong")).status_code == 400
    changed = await change_password(locking, session)

    assert changed.status_code == 200
    assert await tallies(database) == {}

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import httpx
import pytest
from tests.support.accounts import PASSWORD, Account, Accounts
from tests.support.attempts import ADDRESS, COUNTING, allowance, ask_for_token, forwarded, has_allowance, log_in
from tests.support.instances import Serve
from tests.support.problems import assert_problem

Attempt = Callable[[httpx.AsyncClient, int, str], Awaitable[httpx.Response]]


async def log_in_as_ann(client: httpx.AsyncClient, number: int, address: str) -> httpx.Response:
    return await log_in(client, "ann@example.com", address=address)


async def log_in_as_nobody(client: httpx.AsyncClient, number: int, address: str) -> httpx.Response:
    return await log_in(client, f"nobody{number}@example.com", address=address)


async def register(client: httpx.AsyncClient, number: int, address: str) -> httpx.Response:
    new = {"username": f"new{number}", "email": f"new{number}@example.com", "password": PASSWORD}
    return await client.post("/api/users/", json=new, headers=forwarded(address))


async def refresh(client: httpx.AsyncClient, number: int, address: str) -> httpx.Response:
    return await client.post("/api/auth/refresh", headers=forwarded(address))


async def token(client: httpx.AsyncClient, number: int, address: str) -> httpx.Response:
    return await ask_for_token(client, address=address)


async def password(client: httpx.AsyncClient, number: int, address: str) -> httpx.Response:
    return await client.post("/api/auth/password", headers=forwarded(address))


rates = pytest.mark.parametrize(
    ("attempt", "limit", "status"),
    [
        pytest.param(log_in_as_ann, 10, 200, id="login of an account"),
        pytest.param(log_in_as_nobody, 30, 401, id="login"),
        pytest.param(register, 10, 201, id="registration"),
        pytest.param(refresh, 60, 401, id="refresh"),
        pytest.param(token, 30, 400, id="token"),
        pytest.param(password, 10, 401, id="password"),
    ],
)


@pytest.fixture
async def limited(serve: Serve, accounts: Accounts) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that counts, which knows ann."""
    await accounts.add("ann")
    async with serve(**COUNTING) as instance:
        yield instance.client


def assert_limited(answer: httpx.Response, limit: int) -> None:
    assert_problem(answer, 429, "RATE_LIMITED", "Too many requests")
    assert allowance(answer) == (limit, 0)
    assert answer.headers["retry-after"] == answer.headers["ratelimit-reset"]
    assert 50 <= int(answer.headers["retry-after"]) <= 60


@rates
async def test_there_is_a_limit_to_each_of_these_in_a_minute(
    limited: httpx.AsyncClient, attempt: Attempt, limit: int, status: int
) -> None:
    for number in range(limit):
        answer = await attempt(limited, number, ADDRESS)
        assert answer.status_code == status, answer.text
        assert 50 <= int(answer.headers["ratelimit-reset"]) <= 60

    assert_limited(await attempt(limited, limit, ADDRESS), limit)
    assert_limited(await attempt(limited, limit + 1, ADDRESS), limit)
    assert (await attempt(limited, limit + 2, "203.0.113.9")).status_code == status


@rates
async def test_what_is_left_counts_down(limited: httpx.AsyncClient, attempt: Attempt, limit: int, status: int) -> None:
    answers = [await attempt(limited, number, ADDRESS) for number in range(3)]

    if attempt is log_in_as_nobody:  # of two rates the one that is nearer to its end is told
        limit = 10
        assert [allowance(answer) for answer in answers] == [(10, 9)] * 3
    else:
        assert [allowance(answer) for answer in answers] == [(limit, limit - n) for n in (1, 2, 3)]


@rates
async def test_after_a_minute_counting_begins_anew(
    limited: httpx.AsyncClient, database: asyncpg.Connection, attempt: Attempt, limit: int, status: int
) -> None:
    for number in range(limit + 1):
        answer = await attempt(limited, number, ADDRESS)
    assert answer.status_code == 429
    await database.execute("UPDATE rate_counts SET expires_at = now() - interval '1 millisecond'")

    answer = await attempt(limited, limit + 1, ADDRESS)

    assert answer.status_code == status
    assert int(answer.headers["ratelimit-reset"]) == 60
    assert set(await database.fetch("SELECT count FROM rate_counts WHERE expires_at > now()")) == {(1,)}


async def test_whoever_goes_on_trying_does_not_wait_longer(
    limited: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    for _ in range(31):
        await ask_for_token(limited)
    ends_at = await database.fetchval(
        "UPDATE rate_counts SET expires_at = now() + interval '20 s' RETURNING expires_at"
    )

    answer = await ask_for_token(limited)

    assert answer.status_code == 429
    assert 15 <= int(answer.headers["retry-after"]) <= 20
    assert await database.fetchval("SELECT expires_at FROM rate_counts") == ends_at


async def test_a_request_that_is_refused_by_its_rate_does_nothing(
    limited: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    for number in range(11):
        await register(limited, number, ADDRESS)

    assert await database.fetchval("SELECT count(*) FROM users WHERE username LIKE 'new%'") == 10


async def test_two_applications_share_the_counts(serve: Serve, database: asyncpg.Connection) -> None:
    async with serve(**COUNTING) as one, serve(**COUNTING) as two:
        left = [allowance(await ask_for_token(instance.client))[1] for instance in (one, two, two, one)]

    assert left == [29, 28, 27, 26]


@pytest.mark.parametrize("rounds", range(3))
async def test_of_many_at_once_exactly_the_limit_gets_through(
    serve: Serve, database: asyncpg.Connection, rounds: int
) -> None:
    async with serve(**COUNTING) as one, serve(**COUNTING) as two:
        clients = itertools.islice(itertools.cycle([one.client, two.client]), 45)
        answers = await asyncio.gather(*(ask_for_token(client) for client in clients))

    assert Counter(answer.status_code for answer in answers) == {400: 30, 429: 15}
    left = sorted(allowance(answer)[1] for answer in answers)
    assert left == [0] * 15 + list(range(30))


async def test_of_many_logins_at_once_exactly_the_limit_gets_through(
    serve: Serve, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.add("ann")
    async with serve(**COUNTING) as one, serve(**COUNTING) as two:
        answers = await asyncio.gather(*(log_in(client, ann.email) for client in [one.client, two.client] * 10))

    assert Counter(answer.status_code for answer in answers) == {200: 10, 429: 10}
    assert await database.fetchval("SELECT count(*) FROM sessions") == 10


@pytest.mark.parametrize("name", ["ann", "nobody"], ids=["known", "unknown"])
async def test_all_spellings_of_an_email_count_together(
    limited: httpx.AsyncClient, database: asyncpg.Connection, name: str
) -> None:
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in name)  # full-width forms
    spellings = [name, name.upper(), f" {name.title()}", wide, wide.upper()]

    answers = [await log_in(limited, f"{spelling}@example.com", "wrong") for spelling in spellings]
    answers += [await log_in(limited, f"{name}\uff20EXAMPLE.com\t", "wrong")]

    assert {answer.status_code for answer in answers} == {401}
    assert [allowance(answer) for answer in answers] == [(10, left) for left in (9, 8, 7, 6, 5, 4)]
    assert await database.fetchval("SELECT count(*) FROM rate_counts WHERE key LIKE 'login_account_rate %'") == 1
    assert await database.fetchval("SELECT count(DISTINCT account) FROM login_failures") == 1


async def test_what_is_counted_does_not_say_what_was_typed(
    limited: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await log_in(limited, "hunter2-4711", "wrong")

    rows = await database.fetch("SELECT key AS said FROM rate_counts UNION SELECT account FROM login_failures")
    assert "4711" not in "".join(row["said"] for row in rows)


# Who counts as one


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:0DB8:0001:0002::1", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:198.51.100.7", "198.51.100.7", True),
        ("::ffff:c633:6407", "198.51.100.7", True),
        ("::ffff:198.51.100.7", "198.51.100.8", False),
        ("198.51.100.7", "198.51.100.8", False),
        ("198.51.100.7:4711", "198.51.100.7", True),
        ("[2001:db8:1:2::1]:4711", "2001:db8:1:2::1", True),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("192.0.2.1, 198.51.100.7", "192.0.2.2, 198.51.100.7", True),
        ("198.51.100.7, 192.0.2.1", "198.51.100.7, 192.0.2.2", False),
        ("unknown", "", True),
    ],
)
async def test_who_counts_as_one_address(limited: httpx.AsyncClient, first: str, second: str, together: bool) -> None:
    await ask_for_token(limited, address=first)

    assert allowance(await ask_for_token(limited, address=second)) == (30, 28 if together else 29)


async def test_the_last_of_several_headers_is_believed(limited: httpx.AsyncClient) -> None:
    for number in range(3):
        headers = [("X-Forwarded-For", f"192.0.2.{number}"), ("X-Forwarded-For", ADDRESS)]
        answer = await limited.post("/api/auth/token", headers=headers)

    assert allowance(answer) == (30, 27)


async def test_without_a_proxy_of_ours_nobody_is_believed(serve: Serve, database: asyncpg.Connection) -> None:
    async with serve(rate_limit_enabled=True) as instance:
        answers = [await ask_for_token(instance.client, address=f"198.51.100.{n}") for n in range(3)]

    assert [allowance(answer)[1] for answer in answers] == [29, 28, 27]


@pytest.mark.parametrize("address", ["fe80::1%eth0", "fe80::1%25eth0", "::ffff:198.51.100.7%1", "::1", "unknown"])
async def test_a_login_works_from_any_address(
    limited: httpx.AsyncClient, database: asyncpg.Connection, address: str
) -> None:
    assert (await log_in(limited, "ann@example.com", "wrong", address=address)).status_code == 401
    assert (await log_in(limited, "ann@example.com", address=address)).status_code == 200

    assert await database.fetchval("SELECT count(*) FROM login_failures") == 0


# Which answers tell


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/auth/login", b"{", 400),
        ("/api/auth/login", b'{"email": "ann@example.com"}', 400),
        ("/api/auth/login", b'{"email": "ann@example.com", "password": "wrong"}', 401),
        ("/api/auth/login?x=1", b"{}", 400),
        ("/api/users", b"{}", 400),
        ("/api/users/", b'{"username": "ann", "email": "x@example.com", "password": "correct horse"}', 409),
        ("/api/auth/refresh", b"", 401),
        ("/api/auth/password", b"{}", 401),
        ("/api/auth/token", b"", 400),
    ],
)
async def test_refusals_of_these_routes_count_and_tell(
    limited: httpx.AsyncClient, path: str, body: bytes, status: int
) -> None:
    answers = [await limited.post(path, content=body, headers={"Content-Type": "application/json"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [status] * 2
    assert [has_allowance(answer) for answer in answers] == [True] * 2
    assert allowance(answers[0])[1] - allowance(answers[1])[1] == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/auth/me", 200),
        ("GET", "/api/auth/sessions", 200),
        ("GET", "/api/users/", 200),
        ("DELETE", "/api/auth/logout", 200),
        ("GET", "/api/auth/login", 405),
        ("GET", "/api/auth/token", 405),
        ("OPTIONS", "/api/auth/login", 200),
        ("GET", "/api/auth/nothing", 404),
        ("GET", "/livez", 200),
        ("GET", "/", 200),
    ],
)
async def test_other_answers_tell_nothing_and_nothing_is_counted(
    limited: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, method: str, path: str, status: int
) -> None:
    ann = await accounts.log_in(Account(1, "ann", "ann@example.com"))

    answer = await limited.request(method, path, headers=ann.headers)

    assert answer.status_code == status, answer.text
    assert not has_allowance(answer)
    assert await database.fetchval("SELECT count(*) FROM rate_counts") == 0


async def test_without_limits_nothing_is_told_and_nothing_is_counted(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.add("ann")

    answers = [await log_in(client, ann.email, "wrong") for _ in range(12)] + [await log_in(client, ann.email)]
    answers += [await attempt(client, 1, ADDRESS) for attempt in (register, refresh, token, password)]

    assert Counter(answer.status_code for answer in answers) == {401: 14, 200: 1, 201: 1, 400: 1}
    assert not [answer for answer in answers if has_allowance(answer)]
    for table in ("rate_counts", "login_failures"):
        assert await database.fetchval(f"SELECT count(*) FROM {table}") == 0

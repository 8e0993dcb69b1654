"""Many requests at once, to one process and to two."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterable

import asyncpg
import httpx
import pytest
from tests.support.accounts import Account, Accounts
from tests.support.instances import Serve
from tests.support.problems import assert_problem
from tests.support.waiting import until_somebody_waits

NEW = {"username": "ann", "email": "ann@example.com", "password": "8 signs."}
Clients = list[httpx.AsyncClient]


@pytest.fixture(params=[1, 2], ids=["one process", "two processes"])
async def clients(request: pytest.FixtureRequest, client: httpx.AsyncClient, serve: Serve) -> AsyncIterator[Clients]:
    if request.param == 1:
        yield [client, client]
    else:
        async with serve() as other:
            yield [client, other.client]


def statuses(answers: Iterable[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


@pytest.mark.parametrize(
    "differently", [{"username": True}, {"email": True}, {}], ids=["same email", "same username", "same of both"]
)
async def test_of_equal_registrations_one_succeeds(
    clients: Clients, database: asyncpg.Connection, differently: dict[str, bool]
) -> None:
    def body(number: int) -> dict[str, str]:
        return NEW | {name: f"x{number}@example.com" if name == "email" else f"name{number}" for name in differently}

    answers = await asyncio.gather(
        *(client.post("/api/users/", json=body(n)) for n, client in zip(range(20), itertools.cycle(clients)))
    )

    assert statuses(answers) == {201: 1, 409: 19}
    assert await database.fetchval("SELECT count(*) FROM users") == 1


async def test_a_refresh_token_has_at_most_one_successor(
    clients: Clients, accounts: Accounts, database: asyncpg.Connection
) -> None:
    for round_ in range(5):
        ann = await accounts.signed_in(f"ann{round_}")

        answers = await asyncio.gather(
            *(
                client.post("/api/auth/refresh", headers=ann.refresh_headers)
                for _, client in zip(range(20), itertools.cycle(clients))
            )
        )

        assert statuses(answers) == {200: 20}
        assert len({answer.text for answer in answers}) == 1


async def test_of_two_last_admins_who_demote_each_other_one_stays(
    clients: Clients, accounts: Accounts, database: asyncpg.Connection
) -> None:
    eve, root = await accounts.signed_in("eve", role="admin"), await accounts.signed_in("root", role="admin")
    for round_ in range(20):
        how = [{"role": "user"}, {"is_active": False}][round_ % 2]
        first = clients[0].patch(f"/api/users/{root.id}", json=how, headers=eve.headers)
        second = clients[1].patch(f"/api/users/{eve.id}", json=how, headers=root.headers)

        answers = await asyncio.gather(first, second)

        assert await database.fetchval("SELECT count(*) FROM users WHERE role = 'admin' AND is_active") == 1
        assert sum(answer.status_code == 200 for answer in answers) == 1
        assert not [answer for answer in answers if answer.status_code >= 500]
        await database.execute("TRUNCATE token_blocklist")
        await database.execute("UPDATE users SET role = 'admin', is_active = true")


async def test_of_two_last_admins_who_delete_each_other_one_stays(
    clients: Clients, accounts: Accounts, database: asyncpg.Connection, emptying: str
) -> None:
    for round_ in range(10):
        await database.execute(emptying)
        eve = await accounts.signed_in(f"eve{round_}", role="admin")
        root = await accounts.signed_in(f"root{round_}", role="admin")

        answers = await asyncio.gather(
            clients[0].delete(f"/api/users/{root.id}", headers=eve.headers),
            clients[1].delete(f"/api/users/{eve.id}", headers=root.headers),
        )

        assert await database.fetchval("SELECT count(*) FROM users") == 1
        assert statuses(answers)[204] == 1
        assert not [answer for answer in answers if answer.status_code >= 500]


async def test_a_refresh_against_a_logout_leaves_no_session_alive(
    clients: Clients, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.add("ann")
    for _ in range(10):
        session = await accounts.log_in(ann)

        refreshed, ended = await asyncio.gather(
            clients[0].post("/api/auth/refresh", headers=session.refresh_headers),
            clients[1].delete("/api/auth/logout", headers=session.headers),
        )

        assert ended.status_code == 200
        assert refreshed.status_code in (200, 401)
        assert await database.fetchval("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == 0
        if refreshed.status_code == 200:
            new = refreshed.json()
            for method, path, token in (
                ("GET", "/api/auth/me", new["access_token"]),
                ("POST", "/api/auth/refresh", new["refresh_token"]),
            ):
                answer = await clients[0].request(method, path, headers={"Authorization": f"Bearer {token}"})
                assert_problem(answer, 401, "TOKEN_REVOKED")


async def test_a_deletion_against_changes_leaves_nobody(
    clients: Clients, accounts: Accounts, database: asyncpg.Connection
) -> None:
    root = await accounts.signed_in("root", role="admin")
    for round_ in range(10):
        ann = await accounts.signed_in(f"ann{round_}")
        requests = [clients[0].delete(f"/api/users/{ann.id}", headers=root.headers)]
        requests += [
            client.patch(f"/api/users/{ann.id}", json={"username": f"ann{round_}x{n}"}, headers=ann.headers)
            for n, client in enumerate(clients * 2)
        ]

        deleted, *changed = await asyncio.gather(*requests)

        assert deleted.status_code == 204
        assert {answer.status_code for answer in changed} <= {200, 401, 404}
        assert await database.fetchval("SELECT count(*) FROM users") == 1


async def test_a_deletion_against_logins_and_refreshes_leaves_no_session(
    clients: Clients, accounts: Accounts, database: asyncpg.Connection
) -> None:
    root = await accounts.signed_in("root", role="admin")
    for round_ in range(5):
        ann = await accounts.signed_in(f"ann{round_}")
        login = {"email": ann.email, "password": "correct horse battery"}

        deleted, *others = await asyncio.gather(
            clients[0].delete(f"/api/users/{ann.id}", headers=root.headers),
            *(client.post("/api/auth/login", json=login) for client in clients * 2),
            clients[1].post("/api/auth/refresh", headers=ann.refresh_headers),
        )

        assert deleted.status_code == 204
        assert {answer.status_code for answer in others} <= {200, 401}
        assert await database.fetchval("SELECT count(*) FROM sessions") == 1


async def test_disabling_against_logins_and_refreshes_leaves_no_session_alive(
    clients: Clients, accounts: Accounts, database: asyncpg.Connection
) -> None:
    root = await accounts.signed_in("root", role="admin")
    for round_ in range(10):
        ann: Account = await accounts.signed_in(f"ann{round_}")
        login = {"email": ann.email, "password": "correct horse battery"}

        disabled, *others = await asyncio.gather(
            clients[0].patch(f"/api/users/{ann.id}", json={"is_active": False}, headers=root.headers),
            *(client.post("/api/auth/login", json=login) for client in clients * 2),
            clients[1].post("/api/auth/refresh", headers=ann.refresh_headers),
        )

        assert disabled.status_code == 200
        assert {answer.status_code for answer in others} <= {200, 401, 403}
        alive = "SELECT count(*) FROM sessions WHERE user_id = $1 AND ended_at IS NULL"
        assert await database.fetchval(alive, ann.id) == 0


async def test_names_that_are_swapped_at_once_deadlock_nobody(
    clients: Clients, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann, bob = await accounts.signed_in("ann"), await accounts.signed_in("bob")

    answers = await asyncio.gather(
        clients[0].patch(f"/api/users/{ann.id}", json={"username": "bob"}, headers=ann.headers),
        clients[1].patch(f"/api/users/{bob.id}", json={"username": "ann"}, headers=bob.headers),
    )

    assert not [answer for answer in answers if answer.status_code == 500]
    names = {row["username"] for row in await database.fetch("SELECT username FROM users")}
    assert len(names) == 2


async def test_an_admin_who_is_demoted_while_a_row_is_waited_for_changes_nobody(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    root, eve = await accounts.signed_in("root", role="admin"), await accounts.signed_in("eve", role="admin")
    zoe = await accounts.add("zoe")
    async with database.transaction():
        await database.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", zoe.id)
        pending = asyncio.create_task(client.patch(f"/api/users/{zoe.id}", json={"role": "admin"}, headers=eve.headers))
        await until_somebody_waits(database)
        demoted = await client.patch(f"/api/users/{eve.id}", json={"role": "user"}, headers=root.headers)
        assert demoted.status_code == 200

    assert_problem(await pending, 403, "FORBIDDEN")
    assert await database.fetchval("SELECT role FROM users WHERE id = $1", zoe.id) == "user"

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.accounts import Accounts
from tests.support.problems import assert_problem, said

PUBLIC = {"id", "username", "is_active", "created_at", "updated_at"}
PRIVATE = PUBLIC | {"email", "role"}


async def fill(database: asyncpg.Connection, count: int) -> None:
    """Add accounts u1, u2, … each a second newer than the one before."""
    await database.execute(
        "INSERT INTO users (username, email, password_hash, created_at)"
        " SELECT 'u' || n, 'u' || n || '@example.com', 'x', now() + n * interval '1 second'"
        " FROM generate_series(1, $1::int) n",
        count,
    )


async def page(client: httpx.AsyncClient, accounts: Accounts, query: str = "") -> Any:
    root = await accounts.signed_in("root", role="admin")
    answer = await client.get(f"/api/users/{query}", headers=root.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_one_sees_oneself_with_email_and_role(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.get(f"/api/users/{ann.id}", headers=ann.headers)

    assert answer.status_code == 200
    assert answer.json() == (await client.get("/api/auth/me", headers=ann.headers)).json()


async def test_others_see_neither_email_nor_role(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann, bob = await accounts.add("ann"), await accounts.signed_in("bob")

    answer = await client.get(f"/api/users/{ann.id}", headers=bob.headers)

    assert answer.json().keys() == PUBLIC
    assert "ann@example.com" not in answer.text


async def test_admins_see_email_and_role(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann, root = await accounts.add("ann"), await accounts.signed_in("root", role="admin")

    document = (await client.get(f"/api/users/{ann.id}", headers=root.headers)).json()

    assert document.keys() == PRIVATE
    assert (document["email"], document["role"]) == ("ann@example.com", "user")


async def test_nobody_is_not_found(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    assert_problem(await client.get("/api/users/999", headers=ann.headers), 404, "NOT_FOUND")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "user_id",
    [
        "0",
        "-1",
        "+1",
        "1.0",
        "1e0",
        "0x1",
        "ann",
        "%D9%A1",
        "%EF%BC%91",
        "%C2%B9",
        "%201",
        "1%0A",
        str(2**63),
        str(2**64),
        "9" * 100,
        "1/2",
    ],
)
async def test_what_is_no_id_is_no_path(client: httpx.AsyncClient, method: str, user_id: str) -> None:
    answer = await client.request(method, f"/api/users/{user_id}")

    assert answer.status_code == 404
    if method != "HEAD":
        assert_problem(answer, 404, "NOT_FOUND")


@pytest.mark.parametrize("user_id", [2**63 - 1, 2**31, 2**53 + 1])
async def test_the_largest_id_is_one(client: httpx.AsyncClient, accounts: Accounts, user_id: int) -> None:
    ann = await accounts.signed_in("ann")

    assert_problem(await client.get(f"/api/users/{user_id}", headers=ann.headers), 404, "NOT_FOUND")


async def test_a_user_with_the_largest_id_is_found(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    await database.execute(
        "INSERT INTO users (id, username, email, password_hash) OVERRIDING SYSTEM VALUE"
        " VALUES (9223372036854775807, 'max', 'max@example.com', 'x')"
    )

    answer = await client.get(f"/api/users/{2**63 - 1}", headers=ann.headers)

    assert answer.json()["id"] == 2**63 - 1


@pytest.mark.parametrize("path", ["/api/users/", "/api/users", "/api/users/1"])
async def test_head_is_get_without_its_body(client: httpx.AsyncClient, accounts: Accounts, path: str) -> None:
    ann = await accounts.signed_in("ann")

    head = await client.head(path, headers=ann.headers)
    get = await client.get(path, headers=ann.headers)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))


async def test_an_unknown_query_parameter_of_a_user_is_refused(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.get(f"/api/users/{ann.id}?fields=email", headers=ann.headers)

    assert [fault["pointer"] for fault in assert_problem(answer, 400, "VALIDATION_ERROR")["errors"]] == ["?fields"]


@pytest.mark.parametrize("path", ["/api/users/", "/api/users"])
async def test_a_list_is_an_object_with_its_paging(client: httpx.AsyncClient, accounts: Accounts, path: str) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.get(path, headers=ann.headers)

    document = answer.json()
    assert answer.status_code == 200
    assert [user["id"] for user in document.pop("users")] == [ann.id]
    assert document == {"per_page": 20, "next_cursor": None, "total": 1, "pages": 1, "current_page": 1}


async def test_a_list_shows_users_only_their_own_email_and_role(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann, _ = await accounts.signed_in("ann"), await accounts.add("bob")

    users = (await client.get("/api/users/", headers=ann.headers)).json()["users"]

    assert {user["username"]: user.keys() for user in users} == {"ann": PRIVATE, "bob": PUBLIC}


async def test_a_list_shows_admins_every_email_and_role_and_no_hash(
    client: httpx.AsyncClient, accounts: Accounts
) -> None:
    await accounts.add("ann")

    document = await page(client, accounts)

    assert [user.keys() for user in document["users"]] == [PRIVATE, PRIVATE]
    assert "argon2" not in str(document)


async def test_the_newest_come_first(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    await fill(database, 3)

    assert [user["username"] for user in (await page(client, accounts))["users"]] == ["u3", "u2", "u1", "root"]


async def test_of_those_made_at_once_the_higher_id_comes_first(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    await fill(database, 5)
    await database.execute("UPDATE users SET created_at = now() + interval '1 hour'")

    ids = [user["id"] for user in (await page(client, accounts))["users"] if user["username"] != "root"]

    assert ids == sorted(ids, reverse=True)


async def test_pages_follow_one_another(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    await fill(database, 6)
    root = await accounts.signed_in("root", role="admin")

    names = []
    for number in (1, 2, 3):
        document = (await client.get(f"/api/users/?page={number}&per_page=3", headers=root.headers)).json()
        assert (document["total"], document["pages"], document["current_page"]) == (7, 3, number)
        names.append([user["username"] for user in document["users"]])

    assert names == [["u6", "u5", "u4"], ["u3", "u2", "u1"], ["root"]]


@pytest.mark.parametrize("number", [2, 10_000])
async def test_a_page_past_the_end_is_empty(client: httpx.AsyncClient, accounts: Accounts, number: int) -> None:
    document = await page(client, accounts, f"?page={number}")

    assert document == {
        "users": [],
        "per_page": 20,
        "next_cursor": None,
        "total": 1,
        "pages": 1,
        "current_page": number,
    }


@pytest.mark.parametrize(("asked", "given"), [(1, 1), (99, 99), (100, 100), (101, 100), (1000, 100), (10**25, 100)])
async def test_more_than_100_a_page_means_100(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, asked: int, given: int
) -> None:
    await fill(database, 120)

    document = await page(client, accounts, f"?per_page={asked}")

    assert (document["per_page"], len(document["users"])) == (given, given)
    assert document["pages"] == -(-121 // given)


@pytest.mark.parametrize(
    "query",
    [
        "per_page=0",
        "per_page=-1",
        "per_page=",
        "per_page=x4711",
        "per_page=1.0",
        "per_page=%2B1",
        "per_page=1_0",
        "per_page=%D9%A3",
        "per_page=%EF%BC%91",
        "page=0",
        "page=-1",
        "page=10001",
        "page=99999999999999999999999",
        "page=1e3",
        "page=%201",
        "page=",
        "page",
        "page=1&page=1",
        "per_page=1&per_page=2",
        "x=4711",
        "Page=1",
        "page[]=1",
        "page=true",
    ],
)
async def test_a_query_of_another_shape_is_refused_and_not_echoed(
    client: httpx.AsyncClient, accounts: Accounts, query: str
) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.get(f"/api/users/?{query}", headers=ann.headers)

    document = assert_problem(answer, 400, "VALIDATION_ERROR")
    assert [fault["pointer"] for fault in document["errors"]] == ["?" + query.partition("=")[0]]
    assert "4711" not in said(answer)


@pytest.mark.parametrize("query", ["page=%FF", "page=%00", "page=%ED%A0%80", "%C0=1"])
async def test_a_query_that_is_no_text_is_malformed(client: httpx.AsyncClient, accounts: Accounts, query: str) -> None:
    ann = await accounts.signed_in("ann")

    assert (await client.get(f"/api/users/?{query}", headers=ann.headers)).status_code == 400


@pytest.mark.parametrize(
    ("count", "total", "capped"),
    [(9_999, 10_000, None), (10_000, 10_000, True), (10_050, 10_000, True)],
    ids=["10,000", "10,001", "10,051"],
)
async def test_totals_are_exact_up_to_10000_rows(
    client: httpx.AsyncClient,
    accounts: Accounts,
    database: asyncpg.Connection,
    count: int,
    total: int,
    capped: bool | None,
) -> None:
    await fill(database, count)

    document = await page(client, accounts, "?per_page=100")

    assert (document["total"], document["pages"], document.get("total_capped")) == (total, 100, capped)


async def test_rows_behind_the_count_can_be_reached(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    await fill(database, 10_050)

    document = await page(client, accounts, "?page=101&per_page=100")

    assert len(document["users"]) == 51

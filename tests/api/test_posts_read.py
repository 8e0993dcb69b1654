from __future__ import annotations

import time
import uuid
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.accounts import Accounts
from tests.support.problems import assert_problem
from tests.support.writings import Writings

NOBODYS = "01890000-0000-7000-8000-000000000000"
METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE"]


async def test_everybody_reads_a_post(client: httpx.AsyncClient, accounts: Accounts, writings: Writings) -> None:
    ann = await accounts.add("ann")
    post_id = await writings.post(ann, "A title", "A body")

    answer = await client.get(f"/api/posts/{post_id}")

    document = answer.json()
    assert answer.status_code == 200

    assert [document[name] for name in ("id", "title", "body", "author", "author_id")] == [
        *(post_id, "A title", "A body"),
        *("ann", ann.id),
    ]


async def test_a_post_of_a_disabled_author_is_still_read(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings
) -> None:
    post_id = await writings.post(await accounts.add("ann", is_active=False))

    assert (await client.get(f"/api/posts/{post_id}")).json()["author"] == "ann"


async def test_head_of_a_post_is_get_without_its_body(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings
) -> None:
    post_id = await writings.post(await accounts.add("ann"))

    head, get = await client.head(f"/api/posts/{post_id}"), await client.get(f"/api/posts/{post_id}")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))
    assert head.headers["etag"] == get.headers["etag"]


async def test_an_id_may_be_in_capitals(client: httpx.AsyncClient, accounts: Accounts, writings: Writings) -> None:
    post_id = await writings.post(await accounts.add("ann"))

    assert (await client.get(f"/api/posts/{post_id.upper()}")).json()["id"] == post_id


@pytest.mark.parametrize("method", METHODS)
async def test_nobodys_post_is_not_found(client: httpx.AsyncClient, accounts: Accounts, method: str) -> None:
    ann = await accounts.signed_in("ann")
    sent: dict[str, Any] = {"json": {"title": "New"}} if method.startswith("P") else {}

    answer = await client.request(method, f"/api/posts/{NOBODYS}", headers=ann.headers, **sent)

    assert answer.status_code == 404
    if method != "HEAD":
        assert_problem(answer, 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "post_id",
    [
        "1",
        "x",
        NOBODYS[:-1],
        NOBODYS + "0",
        NOBODYS.replace("-", ""),
        NOBODYS.replace("0", "g"),
        "{" + NOBODYS + "}",
        "urn:uuid:" + NOBODYS,
        NOBODYS + "%0A",
        "%EF%BC%90" + NOBODYS[1:],
        NOBODYS + "/",
    ],
)
async def test_what_is_no_uuid_is_no_path(client: httpx.AsyncClient, post_id: str) -> None:
    answers = [await client.request(method, f"/api/posts/{post_id}") for method in METHODS]

    assert {answer.status_code for answer in answers} == {404}
    assert_problem(answers[0], 404, "NOT_FOUND")


async def test_other_methods_of_a_post_are_not_allowed(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/api/posts/{NOBODYS}")

    assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert set(answer.headers["allow"].split(", ")) >= {"GET", "HEAD", "PUT", "PATCH", "DELETE"}


# What operators' SQL inserts


@pytest.mark.parametrize("post_id", [None, "00000000-0000-4000-8000-000000000000"], ids=["without id", "with an id"])
async def test_a_post_that_sql_inserts_is_served(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, post_id: str | None
) -> None:
    ann = await accounts.add("ann")
    columns, values = ("id, ", f"'{post_id}', ") if post_id else ("", "")

    made = await database.fetchval(
        f"INSERT INTO posts ({columns}author_id, title, body) VALUES ({values}$1, 'Foxes', 'run') RETURNING id", ann.id
    )

    document = (await client.get(f"/api/posts/{made}")).json()
    assert len(document) == 7
    assert (document["id"], document["author"], document["title"]) == (post_id or str(made), "ann", "Foxes")
    assert [post["id"] for post in (await client.get("/api/posts/?search=fox")).json()["posts"]] == [document["id"]]


async def test_ids_that_sql_leaves_out_are_uuid7s_of_now(accounts: Accounts, database: asyncpg.Connection) -> None:
    ann = await accounts.add("ann")
    before = time.time_ns() // 1_000_000

    rows = await database.fetch(
        "INSERT INTO posts (author_id, title, body) SELECT $1, 't', 'b' FROM generate_series(1, 100) RETURNING id",
        ann.id,
    )

    ids = [uuid.UUID(str(row["id"])) for row in rows]
    assert {(post_id.version, post_id.variant) for post_id in ids} == {(7, uuid.RFC_4122)}
    assert all(before - 1 <= post_id.int >> 80 <= time.time_ns() // 1_000_000 for post_id in ids)
    assert len(set(ids)) == 100

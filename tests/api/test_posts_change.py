from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.accounts import Account, Accounts
from tests.support.problems import assert_problem, said
from tests.support.writings import Document, Writings

NOBODYS = "01890000-0000-7000-8000-000000000000"
CHANGES: list[dict[str, str]] = [{"title": "New"}, {"body": "New"}, {"title": "New", "body": "Newer"}]
BOTH_WAYS = pytest.mark.parametrize("method", ["PUT", "PATCH"])
WRITES = pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])


async def shown(client: httpx.AsyncClient, post_id: str) -> Document:
    answer = await client.get(f"/api/posts/{post_id}")
    assert answer.status_code == 200, answer.text
    document: Document = answer.json()
    return document


async def ask(
    client: httpx.AsyncClient, method: str, post_id: str, account: Account | None = None, body: object = None
) -> httpx.Response:
    """Ask to change, or to delete, a post; the change is a good one unless ``body`` says otherwise."""
    sent: dict[str, Any] = {} if method == "DELETE" else {"json": {"title": "New"} if body is None else body}
    return await client.request(method, f"/api/posts/{post_id}", headers=account.headers if account else None, **sent)


@BOTH_WAYS
@pytest.mark.parametrize("changes", CHANGES, ids=str)
async def test_an_author_changes_what_is_named_and_nothing_else(
    client: httpx.AsyncClient,
    accounts: Accounts,
    writings: Writings,
    database: asyncpg.Connection,
    method: str,
    changes: dict[str, str],
) -> None:
    ann = await accounts.signed_in("ann")
    post_id = await writings.post(ann)
    before = await shown(client, post_id)

    answer = await ask(client, method, post_id, ann, changes)

    after = answer.json()
    assert answer.status_code == 200
    assert after == before | changes | {"updated_at": after["updated_at"]}
    assert after == await shown(client, post_id)
    row = await database.fetchrow("SELECT title, body FROM posts")
    assert dict(row) == {"title": after["title"], "body": after["body"]}


async def test_a_change_moves_updated_at_and_not_created_at(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings
) -> None:
    ann = await accounts.signed_in("ann")
    post_id = await writings.post(ann)

    before = await shown(client, post_id)
    documents = [before, *[(await ask(client, "PATCH", post_id, ann)).json() for _ in range(2)]]

    times = [datetime.fromisoformat(document["updated_at"]) for document in documents]
    assert times[0] < times[1] < times[2]
    assert len({document["created_at"] for document in documents}) == 1


async def test_a_change_is_found_by_its_new_words(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings
) -> None:
    ann = await accounts.signed_in("ann")
    post_id = await writings.post(ann, "Foxes")

    await ask(client, "PATCH", post_id, ann, {"title": "Geese"})

    found = {
        word: (await client.get(f"/api/posts/?search={word}")).json()["total"] for word in ("fox", "goose", "geese")
    }
    assert found == {"fox": 0, "goose": 0, "geese": 1}


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, [""]),
        ([], [""]),
        ("title", [""]),
        ({"title": ""}, ["/title"]),
        ({"body": ""}, ["/body"]),
        ({"title": None}, ["/title"]),
        ({"body": None}, ["/body"]),
        ({"title": 1}, ["/title"]),
        ({"title": "x" * 201}, ["/title"]),
        ({"body": "x" * 65_537}, ["/body"]),
        ({"title": "a\0"}, ["/title"]),
        ({"author_id": 1}, ["/author_id"]),
        ({"title": "New", "id": NOBODYS}, ["/id"]),
        ({"title": "New", "created_at": "2026-01-01T00:00:00Z"}, ["/created_at"]),
        ({"title": "", "body": 1}, ["/title", "/body"]),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_bad_change_is_refused_whole(
    client: httpx.AsyncClient,
    accounts: Accounts,
    writings: Writings,
    body: object,
    pointers: list[str],
) -> None:
    ann = await accounts.signed_in("ann")
    post_id = await writings.post(ann)
    before = await shown(client, post_id)

    answers = [await ask(client, method, post_id, ann, body) for method in ("PUT", "PATCH")]

    for answer in answers:
        document = assert_problem(answer, 400, "VALIDATION_ERROR")
        assert [fault["pointer"] for fault in document["errors"]] == pointers
    assert await shown(client, post_id) == before


@BOTH_WAYS
async def test_a_bad_change_of_nobodys_post_is_bad_first(
    client: httpx.AsyncClient, accounts: Accounts, method: str
) -> None:
    ann = await accounts.signed_in("ann")

    assert_problem(await ask(client, method, NOBODYS, ann, {"title": ""}), 400, "VALIDATION_ERROR")


@WRITES
async def test_a_stranger_writes_nothing_of_anothers_post(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings, method: str
) -> None:
    ann, bob = await accounts.add("ann"), await accounts.signed_in("bob")
    post_id = await writings.post(ann)
    before = await shown(client, post_id)
    verb = "delete" if method == "DELETE" else "update"

    answer = await ask(client, method, post_id, bob)

    assert_problem(answer, 403, "FORBIDDEN", f"Cannot {verb} another user's post")
    assert await shown(client, post_id) == before


@WRITES
async def test_nobody_writes_nothing_of_a_post_nor_learns_of_it(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings, method: str
) -> None:
    post_id = await writings.post(await accounts.add("ann"))

    answers = [await ask(client, method, asked) for asked in (post_id, NOBODYS)]

    assert_problem(answers[0], 401, "TOKEN_MISSING")
    assert said(answers[0]) == said(answers[1])
    assert (await shown(client, post_id))["title"] == "A title"


@BOTH_WAYS
async def test_an_admin_changes_anybodys_post_and_it_stays_theirs(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings, method: str
) -> None:
    ann, root = await accounts.add("ann"), await accounts.signed_in("root", role="admin")
    post_id = await writings.post(ann)

    answer = await ask(client, method, post_id, root)

    assert (answer.status_code, answer.json()["title"], answer.json()["author_id"]) == (200, "New", ann.id)


async def test_an_authors_new_name_shows_with_their_posts(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings
) -> None:
    ann = await accounts.signed_in("ann")
    post_id = await writings.post(ann)
    tag = (await client.get(f"/api/posts/{post_id}")).headers["etag"]

    await client.patch(f"/api/users/{ann.id}", json={"username": "zoe"}, headers=ann.headers)

    answer = await client.get(f"/api/posts/{post_id}", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json()["author"]) == (200, "zoe")
    assert (await client.get("/api/posts/")).json()["posts"][0]["author"] == "zoe"

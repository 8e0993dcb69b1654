from __future__ import annotations

import uuid
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.accounts import Account, Accounts
from tests.support.problems import assert_problem
from tests.support.writings import Writings


async def ask(client: httpx.AsyncClient, method: str, post_id: str, account: Account) -> httpx.Response:
    sent: dict[str, Any] = {"json": {"title": "New"}} if method.startswith("P") else {}
    return await client.request(method, f"/api/posts/{post_id}", headers=account.headers, **sent)


@pytest.mark.parametrize("who", ["ann", "root"])
async def test_authors_and_admins_delete_a_post_with_its_comments(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings, database: asyncpg.Connection, who: str
) -> None:
    ann, root = await accounts.signed_in("ann"), await accounts.signed_in("root", role="admin")
    post_id, other = await writings.post(ann), await writings.post(ann)
    await writings.comments(post_id, root, 3)
    kept = await writings.comment(other, root)

    answer = await ask(client, "DELETE", post_id, {"ann": ann, "root": root}[who])

    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    assert [str(row["id"]) for row in await database.fetch("SELECT id FROM posts")] == [other]
    assert [row["id"] for row in await database.fetch("SELECT id FROM comments")] == [kept]


async def test_a_deleted_post_is_not_found(client: httpx.AsyncClient, accounts: Accounts, writings: Writings) -> None:
    ann = await accounts.signed_in("ann")
    post_id = await writings.post(ann)
    await ask(client, "DELETE", post_id, ann)

    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert_problem(await ask(client, method, post_id, ann), 404, "NOT_FOUND")


async def test_a_post_with_very_many_comments_is_gone_at_once(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings
) -> None:
    ann = await accounts.signed_in("ann")
    post_id = await writings.post(ann, "Foxes")
    first = (await writings.comments(post_id, ann, 1100))[0]

    assert (await ask(client, "DELETE", post_id, ann)).status_code == 204

    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert_problem(await ask(client, method, post_id, ann), 404, "NOT_FOUND")
    comment: dict[str, Any] = {"json": {"body": "New"}, "headers": ann.headers}
    assert (await client.post(f"/api/posts/{post_id}/comments/", **comment)).status_code == 404
    assert (await client.patch(f"/api/posts/{post_id}/comments/{first}", **comment)).status_code == 404
    for path in (f"/api/posts/{post_id}/comments/", f"/api/posts/{post_id}/comments/{first}"):
        assert (await client.get(path)).status_code == 404
    for path in ("/api/posts/", "/api/posts/?search=fox", f"/api/users/{ann.id}/posts/"):
        document = (await client.get(path)).json()
        assert (document["posts"], document["total"]) == ([], 0)


async def test_an_author_with_very_many_posts_is_gone_at_once(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings
) -> None:
    ann, bob = await accounts.signed_in("ann"), await accounts.signed_in("bob")
    post_id = (await writings.posts(ann, 600, body="Foxes"))[0]
    theirs = await writings.post(bob)
    comment_id = await writings.comment(theirs, ann)

    assert (await client.delete(f"/api/users/{ann.id}", headers=ann.headers)).status_code == 204

    gone = (f"/api/posts/{post_id}", f"/api/posts/{post_id}/comments/", f"/api/users/{ann.id}/posts/")
    for path in (*gone, f"/api/posts/{theirs}/comments/{comment_id}", f"/api/users/{ann.id}"):
        assert (await client.get(path, headers=bob.headers)).status_code == 404, path
    counts = [
        (await client.get(path, headers=bob.headers)).json()["total"]
        for path in ("/api/posts/", "/api/posts/?search=fox", f"/api/posts/?author_id={ann.id}", "/api/users/")
    ]
    assert counts == [1, 0, 0, 1]
    assert (await client.get(f"/api/posts/{theirs}/comments/")).json()["total"] == 0


async def test_posts_go_with_their_author(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings, database: asyncpg.Connection
) -> None:
    ann, bob = await accounts.signed_in("ann"), await accounts.add("bob")
    kept = await writings.post(bob)
    await writings.comment(await writings.post(ann), bob)
    await writings.comment(kept, ann)

    await client.delete(f"/api/users/{ann.id}", headers=ann.headers)

    assert [row["id"] for row in await database.fetch("SELECT id FROM posts")] == [uuid.UUID(kept)]
    assert await database.fetchval("SELECT count(*) FROM comments") == 0

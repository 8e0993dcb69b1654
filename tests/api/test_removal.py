"""Accounts and posts on which much hangs: deleted for everybody at once, whatever is still in the tables (ADR 9)."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest
from service.repositories import posts, users
from service.services.users import BATCH
from tests.support.accounts import PASSWORD, Account, Accounts
from tests.support.attempts import FORM
from tests.support.problems import assert_problem, said
from tests.support.things import Things

MANY = users.HANGING_ROWS + 1
MANY_COMMENTS = posts.HANGING_ROWS + 1


@dataclass(frozen=True)
class Scene:
    """ann, who is about to go, and bob, who stays; each has a post that both have commented on."""

    ann: Account
    bob: Account
    root: Account
    anns: uuid.UUID
    bobs: uuid.UUID


@pytest.fixture
async def scene(accounts: Accounts, things: Things) -> Scene:
    ann, bob = await accounts.signed_in("ann"), await accounts.signed_in("bob")
    root = await accounts.signed_in("root", role="admin")
    anns, bobs = await things.post(ann), await things.post(bob)
    for post_id in (anns, bobs):
        for author in (ann, bob):
            await things.comments(post_id, author, 1)
    return Scene(ann, bob, root, anns, bobs)


async def with_posts(things: Things, scene: Scene) -> None:
    await things.posts(scene.ann, MANY)


async def with_comments(things: Things, scene: Scene) -> None:
    await things.comments(scene.bobs, scene.ann, MANY)


async def with_comments_of_others(things: Things, scene: Scene) -> None:
    await things.comments(scene.anns, scene.bob, 2000)


async def with_little(things: Things, scene: Scene) -> None:
    pass


Hang = Callable[[Things, Scene], Awaitable[None]]
LARGE: list[Hang] = [with_posts, with_comments, with_comments_of_others]
one = pytest.mark.parametrize("hang", [with_posts], ids=lambda hang: hang.__name__)
each = pytest.mark.parametrize("hang", [with_little, *LARGE], ids=lambda hang: hang.__name__)


async def totals(client: httpx.AsyncClient, scene: Scene) -> dict[str, int]:
    """What the lists count."""
    paths = {
        "users": "/api/users/",
        "users by name": "/api/users/?search=ann&sort=username",
        "disabled users": "/api/users/?is_active=false",
        "posts": "/api/posts/",
        "posts found": "/api/posts/?search=zebra",
        "posts of ann": f"/api/posts/?author_id={scene.ann.id}",
        "comments of bob's post": f"/api/posts/{scene.bobs}/comments/",
    }
    answers = {name: await client.get(path, headers=scene.root.headers) for name, path in paths.items()}
    for answer in answers.values():
        assert answer.status_code == 200, answer.text
        items = next(value for value in answer.json().values() if isinstance(value, list))
        assert len(items) == min(answer.json()["total"], answer.json()["per_page"])
    return {name: answer.json()["total"] for name, answer in answers.items()}


@each
async def test_a_deleted_account_is_nowhere_at_once(
    client: httpx.AsyncClient, things: Things, scene: Scene, hang: Hang
) -> None:
    await hang(things, scene)
    began = time.monotonic()

    answer = await client.delete(f"/api/users/{scene.ann.id}", headers=scene.ann.headers)

    assert (answer.status_code, answer.content) == (204, b"")
    assert time.monotonic() - began < 2
    assert await totals(client, scene) == {
        "users": 2,
        "users by name": 0,
        "disabled users": 0,
        "posts": 1,
        "posts found": 1,
        "posts of ann": 0,
        "comments of bob's post": 1,
    }


@each
async def test_what_belonged_to_a_deleted_account_is_not_found(
    client: httpx.AsyncClient, things: Things, scene: Scene, database: asyncpg.Connection, hang: Hang
) -> None:
    await hang(things, scene)
    comments = await database.fetch("SELECT post_id, id, author_id FROM comments ORDER BY id LIMIT 4")
    await client.delete(f"/api/users/{scene.ann.id}", headers=scene.ann.headers)

    for method, path, body in (
        ("GET", f"/api/users/{scene.ann.id}", None),
        ("PATCH", f"/api/users/{scene.ann.id}", {"is_active": True}),
        ("DELETE", f"/api/users/{scene.ann.id}", None),
        ("GET", f"/api/users/{scene.ann.id}/posts", None),
        ("GET", f"/api/posts/{scene.anns}", None),
        ("PUT", f"/api/posts/{scene.anns}", {"title": "new"}),
        ("DELETE", f"/api/posts/{scene.anns}", None),
        ("GET", f"/api/posts/{scene.anns}/comments", None),
        ("POST", f"/api/posts/{scene.anns}/comments", {"body": "late"}),
        *(("GET", f"/api/posts/{row['post_id']}/comments/{row['id']}", None) for row in gone(comments, scene)),
        *(("PUT", f"/api/posts/{row['post_id']}/comments/{row['id']}", {"body": "x"}) for row in gone(comments, scene)),
        *(("DELETE", f"/api/posts/{row['post_id']}/comments/{row['id']}", None) for row in gone(comments, scene)),
    ):
        answer = await client.request(method, path, json=body, headers=scene.root.headers)
        assert answer.status_code == 404, (method, path, answer.text)


def gone(comments: list[Any], scene: Scene) -> list[Any]:
    """Those on ann's post, and those of ann's."""
    found = [row for row in comments if row["post_id"] == scene.anns or row["author_id"] == scene.ann.id]
    assert len(found) == 3
    return found


@each
async def test_what_belongs_to_others_stays_as_it_was(
    client: httpx.AsyncClient, things: Things, scene: Scene, database: asyncpg.Connection, hang: Hang
) -> None:
    await hang(things, scene)
    statements = [
        ("SELECT * FROM users WHERE id <> $1 ORDER BY id", scene.ann.id),
        ("SELECT * FROM posts WHERE author_id <> $1 ORDER BY id", scene.ann.id),
        ("SELECT * FROM sessions WHERE user_id <> $1 ORDER BY id", scene.ann.id),
        ("SELECT * FROM comments WHERE post_id = $1 AND author_id = $2", scene.bobs, scene.bob.id),
    ]
    before = [await database.fetch(*statement) for statement in statements]

    await client.delete(f"/api/users/{scene.ann.id}", headers=scene.root.headers)

    assert [await database.fetch(*statement) for statement in statements] == before


@one
async def test_the_tokens_of_a_deleted_account_are_worth_nothing_at_once(
    client: httpx.AsyncClient, things: Things, scene: Scene, hang: Hang
) -> None:
    await hang(things, scene)
    await client.delete(f"/api/users/{scene.ann.id}", headers=scene.root.headers)

    assert_problem(await client.get("/api/auth/me", headers=scene.ann.headers), 401, "INVALID_TOKEN")
    assert_problem(await client.post("/api/auth/refresh", headers=scene.ann.refresh_headers), 401, "INVALID_TOKEN")
    post = {"title": "late", "body": "late"}
    assert_problem(await client.post("/api/posts/", json=post, headers=scene.ann.headers), 401, "INVALID_TOKEN")


@one
@pytest.mark.parametrize("name", ["ann@example.com", "removed:{id}"], ids=["old email", "what is stored"])
async def test_a_deleted_account_logs_in_by_no_name(
    client: httpx.AsyncClient, things: Things, scene: Scene, hang: Hang, name: str
) -> None:
    await hang(things, scene)
    await client.delete(f"/api/users/{scene.ann.id}", headers=scene.root.headers)
    unknown = await client.post("/api/auth/login", json={"email": "nobody@example.com", "password": PASSWORD})

    name = name.format(id=scene.ann.id)
    answer = await client.post("/api/auth/login", json={"email": name, "password": PASSWORD})
    assert_problem(answer, 401, "INVALID_CREDENTIALS")
    assert said(answer) == said(unknown)
    form = {"grant_type": "password", "username": name.partition("@")[0], "password": PASSWORD}
    granted = await client.post("/api/auth/token", data=form, headers={"Content-Type": FORM})
    assert (granted.status_code, granted.json()["error"]) == (400, "invalid_grant")


@one
async def test_the_names_of_a_deleted_account_are_free_at_once(
    client: httpx.AsyncClient, things: Things, scene: Scene, hang: Hang
) -> None:
    await hang(things, scene)
    await client.delete(f"/api/users/{scene.ann.id}", headers=scene.ann.headers)

    new = {"username": "ann", "email": "ann@example.com", "password": "8 signs."}
    answer = await client.post("/api/users/", json=new)

    assert answer.status_code == 201
    found = await client.get(f"/api/users/{answer.json()['id']}/posts", headers=scene.root.headers)
    assert found.json()["total"] == 0


@one
async def test_bulk_work_does_not_touch_who_is_deleted_already(
    client: httpx.AsyncClient, things: Things, scene: Scene, database: asyncpg.Connection, hang: Hang
) -> None:
    await hang(things, scene)
    await client.delete(f"/api/users/{scene.ann.id}", headers=scene.root.headers)
    params = {"is_active": "false"}

    enabled = await client.patch("/api/users/", params=params, json={"is_active": True}, headers=scene.root.headers)
    deleted = await client.delete("/api/users/", params=params, headers=scene.root.headers)

    assert (enabled.json(), deleted.json()) == ({"updated": 0}, {"deleted": 0})
    assert_problem(await client.get("/api/auth/me", headers=scene.ann.headers), 401, "INVALID_TOKEN")


async def test_bulk_work_deletes_large_and_small_accounts_alike(
    client: httpx.AsyncClient, things: Things, scene: Scene, database: asyncpg.Connection
) -> None:
    await with_posts(things, scene)
    await database.execute(
        "INSERT INTO users (username, email, password_hash)"
        " SELECT 'many' || n, 'many' || n || '@example.com', 'x' FROM generate_series(1, $1) n",
        BATCH,
    )

    answer = await client.delete("/api/users/", params={"is_active": "true"}, headers=scene.root.headers)

    assert answer.json() == {"deleted": BATCH + 2}
    assert (await client.get("/api/users/", headers=scene.root.headers)).json()["total"] == 1
    assert (await client.get("/api/posts/")).json()["total"] == 0


async def test_a_large_admin_who_is_the_last_stays(
    client: httpx.AsyncClient, things: Things, scene: Scene, database: asyncpg.Connection
) -> None:
    await things.posts(scene.root, MANY)

    assert_problem(await client.delete(f"/api/users/{scene.root.id}", headers=scene.root.headers), 409, "LAST_ADMIN")
    assert await database.fetchval("SELECT count(*) FROM users WHERE is_removed") == 0


async def test_a_large_admin_who_is_deleted_is_an_admin_no_more(
    client: httpx.AsyncClient, things: Things, accounts: Accounts, scene: Scene
) -> None:
    eve = await accounts.signed_in("eve", role="admin")
    await things.posts(eve, MANY)
    assert (await client.delete(f"/api/users/{eve.id}", headers=eve.headers)).status_code == 204

    assert_problem(await client.delete(f"/api/users/{scene.root.id}", headers=scene.root.headers), 409, "LAST_ADMIN")


async def test_small_accounts_and_posts_are_gone_from_the_tables(
    client: httpx.AsyncClient, things: Things, scene: Scene
) -> None:
    assert (await client.delete(f"/api/posts/{scene.bobs}", headers=scene.bob.headers)).status_code == 204
    assert (await things.count("post"), await things.count("comment")) == (1, 2)

    assert (await client.delete(f"/api/users/{scene.ann.id}", headers=scene.ann.headers)).status_code == 204
    assert (await things.count("user"), await things.count("post"), await things.count("comment")) == (2, 0, 0)


async def test_a_large_post_is_nowhere_at_once(client: httpx.AsyncClient, things: Things, scene: Scene) -> None:
    (first, *_) = await things.comments(scene.anns, scene.bob, MANY_COMMENTS)

    assert (await client.delete(f"/api/posts/{scene.anns}", headers=scene.ann.headers)).status_code == 204

    found = await totals(client, scene)
    assert (found["posts"], found["posts found"], found["posts of ann"], found["comments of bob's post"]) == (
        1,
        1,
        0,
        2,
    )
    for method, path, body in (
        ("GET", f"/api/posts/{scene.anns}", None),
        ("PATCH", f"/api/posts/{scene.anns}", {"title": "again"}),
        ("DELETE", f"/api/posts/{scene.anns}", None),
        ("GET", f"/api/posts/{scene.anns}/comments", None),
        ("POST", f"/api/posts/{scene.anns}/comments", {"body": "late"}),
        ("GET", f"/api/posts/{scene.anns}/comments/{first}", None),
        ("PATCH", f"/api/posts/{scene.anns}/comments/{first}", {"body": "late"}),
        ("DELETE", f"/api/posts/{scene.anns}/comments/{first}", None),
    ):
        answer = await client.request(method, path, json=body, headers=scene.root.headers)
        assert answer.status_code == 404, (method, path, answer.text)


@pytest.mark.parametrize("comments", [3, MANY_COMMENTS], ids=["small post", "large post"])
async def test_comments_that_arrive_as_their_post_goes_do_not_outlive_it(
    client: httpx.AsyncClient, things: Things, scene: Scene, database: asyncpg.Connection, comments: int
) -> None:
    for _ in range(5):
        post_id = await things.post(scene.ann, comments=comments, by=scene.bob)
        path = f"/api/posts/{post_id}"

        deleted, *late = await asyncio.gather(
            client.delete(path, headers=scene.ann.headers),
            *(client.post(f"{path}/comments", json={"body": "late"}, headers=scene.bob.headers) for _ in range(8)),
        )

        assert deleted.status_code == 204
        assert {answer.status_code for answer in late} <= {201, 404}
        for answer in late:
            if answer.status_code == 201:
                assert_problem(await client.get(answer.headers["location"]), 404, "NOT_FOUND")
        assert_problem(await client.get(f"{path}/comments"), 404, "NOT_FOUND")
        if comments == 3:
            left = "SELECT count(*) FROM comments WHERE post_id = $1"
            assert await database.fetchval(left, post_id) == 0

"""Posts and comments that several change at once, and what they hang on going meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable

import asyncpg
import httpx
import pytest
from tests.support.accounts import Accounts
from tests.support.instances import Serve
from tests.support.problems import assert_problem
from tests.support.waiting import until_each_waits
from tests.support.writings import Writings

ROUNDS = 8
POST = {"title": "A title", "body": "A body"}


@pytest.fixture
async def other(serve: Serve, client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a second process."""
    async with serve() as instance:
        yield instance.client


def statuses(answers: Iterable[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


async def while_locked(
    database: asyncpg.Connection, lock: str, locked: object, *requests: Awaitable[httpx.Response], meanwhile: str
) -> list[httpx.Response]:
    """Send requests, one shortly after the other, that wait for a row; do something to it; and let them go on."""
    tasks = []
    async with database.transaction():
        await database.execute(lock, locked)
        for request in requests:
            tasks.append(asyncio.ensure_future(request))
            await until_each_waits(database, tasks)
        if meanwhile:
            await database.execute(meanwhile, locked)
    return list(await asyncio.gather(*tasks))


async def test_a_comment_on_a_post_that_goes_is_made_with_it_or_not_found(
    client: httpx.AsyncClient,
    other: httpx.AsyncClient,
    accounts: Accounts,
    writings: Writings,
    database: asyncpg.Connection,
) -> None:
    ann, bob = await accounts.signed_in("ann"), await accounts.signed_in("bob")
    for _ in range(ROUNDS):
        path = f"/api/posts/{await writings.post(ann)}"

        deleted, *made = await asyncio.gather(
            other.delete(path, headers=ann.headers),
            *(client.post(f"{path}/comments/", json={"body": "x"}, headers=bob.headers) for _ in range(5)),
        )

        assert deleted.status_code == 204
        assert set(statuses(made)) <= {201, 404}
        assert await database.fetchval("SELECT count(*) FROM comments") == 0


async def test_a_comment_that_waits_for_a_post_that_goes_is_not_found(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    post_id = await writings.post(ann)
    path = f"/api/posts/{post_id}/comments/"

    [answer] = await while_locked(
        database,
        "SELECT FROM posts WHERE id = $1 FOR UPDATE",
        post_id,
        client.post(path, json={"body": "x"}, headers=ann.headers),
        meanwhile="DELETE FROM posts WHERE id = $1",
    )

    assert_problem(answer, 404, "NOT_FOUND")


@pytest.mark.parametrize("what", ["post", "comment"])
async def test_what_waits_for_an_author_who_goes_is_refused(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings, database: asyncpg.Connection, what: str
) -> None:
    ann, bob = await accounts.signed_in("ann"), await accounts.add("bob")
    path, body = "/api/posts/", POST
    if what == "comment":
        path, body = f"/api/posts/{await writings.post(bob)}/comments/", {"body": "x"}

    [answer] = await while_locked(
        database,
        "SELECT FROM users WHERE id = $1 FOR UPDATE",
        ann.id,
        client.post(path, json=body, headers=ann.headers),
        meanwhile="DELETE FROM users WHERE id = $1",
    )

    assert_problem(answer, 401, "INVALID_TOKEN")
    assert await database.fetchval(f"SELECT count(*) FROM {what}s WHERE author_id = $1", ann.id) == 0


@pytest.mark.parametrize("by", ["ann", "root"])
async def test_posts_by_an_author_who_goes_leave_no_orphan(
    client: httpx.AsyncClient, other: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, by: str
) -> None:
    root = await accounts.signed_in("root", role="admin")
    for round_ in range(ROUNDS):
        ann = await accounts.signed_in(f"ann{round_}")

        deleted, *made = await asyncio.gather(
            other.delete(f"/api/users/{ann.id}", headers=(ann if by == "ann" else root).headers),
            *(client.post("/api/posts/", json=POST, headers=ann.headers) for _ in range(5)),
        )

        assert deleted.status_code == 204
        assert set(statuses(made)) <= {201, 401}
        assert await database.fetchval("SELECT count(*) FROM posts") == 0


@pytest.mark.parametrize("what", ["post", "comment"])
async def test_of_deletions_at_once_one_succeeds(
    client: httpx.AsyncClient, other: httpx.AsyncClient, accounts: Accounts, writings: Writings, what: str
) -> None:
    ann, root = await accounts.signed_in("ann"), await accounts.signed_in("root", role="admin")
    for _ in range(ROUNDS):
        post_id = await writings.post(ann)
        path = f"/api/posts/{post_id}"
        if what == "comment":
            path += f"/comments/{await writings.comment(post_id, ann)}"

        answers = await asyncio.gather(
            *(each.delete(path, headers=who.headers) for each in (client, other) for who in (ann, root))
        )

        assert statuses(answers) == {204: 1, 404: 3}


@pytest.mark.parametrize("what", ["post", "comment"])
async def test_changes_at_once_all_succeed_and_the_last_one_stays(
    client: httpx.AsyncClient,
    other: httpx.AsyncClient,
    accounts: Accounts,
    writings: Writings,
    what: str,
) -> None:
    ann, root = await accounts.signed_in("ann"), await accounts.signed_in("root", role="admin")
    post_id = await writings.post(ann)
    path = f"/api/posts/{post_id}"
    if what == "comment":
        path += f"/comments/{await writings.comment(post_id, ann)}"

    answers = await asyncio.gather(
        *(
            each.patch(path, json={"body": f"{number}"}, headers=who.headers)
            for number, (each, who) in enumerate([(client, ann), (other, root)] * 5)
        )
    )

    assert statuses(answers) == {200: 10}
    assert (await client.get(path)).json() in [answer.json() for answer in answers]


async def test_changes_of_two_members_at_once_keep_both(
    client: httpx.AsyncClient, other: httpx.AsyncClient, accounts: Accounts, writings: Writings
) -> None:
    ann = await accounts.signed_in("ann")
    for _ in range(ROUNDS):
        path = f"/api/posts/{await writings.post(ann)}"

        await asyncio.gather(
            client.patch(path, json={"title": "New title"}, headers=ann.headers),
            other.put(path, json={"body": "New body"}, headers=ann.headers),
        )

        document = (await client.get(path)).json()
        assert (document["title"], document["body"]) == ("New title", "New body")


@pytest.mark.parametrize("what", ["post", "comment"])
async def test_a_change_against_a_deletion_leaves_nothing(
    client: httpx.AsyncClient,
    other: httpx.AsyncClient,
    accounts: Accounts,
    writings: Writings,
    database: asyncpg.Connection,
    what: str,
) -> None:
    ann = await accounts.signed_in("ann")
    for _ in range(ROUNDS):
        post_id = await writings.post(ann)
        path = f"/api/posts/{post_id}"
        if what == "comment":
            path += f"/comments/{await writings.comment(post_id, ann)}"

        deleted, *changed = await asyncio.gather(
            other.delete(path, headers=ann.headers),
            *(client.patch(path, json={"body": "New"}, headers=ann.headers) for _ in range(3)),
        )

        assert deleted.status_code == 204
        assert set(statuses(changed)) <= {200, 404}
        assert await database.fetchval(f"SELECT count(*) FROM {what}s") == 0
        await database.execute("DELETE FROM posts")


async def test_a_comment_changed_while_its_post_goes_is_not_found(
    client: httpx.AsyncClient,
    other: httpx.AsyncClient,
    accounts: Accounts,
    writings: Writings,
    database: asyncpg.Connection,
) -> None:
    ann = await accounts.signed_in("ann")
    for _ in range(ROUNDS):
        post_id = await writings.post(ann)
        path = f"/api/posts/{post_id}/comments/{await writings.comment(post_id, ann)}"

        gone, changed, deleted = await asyncio.gather(
            other.delete(f"/api/posts/{post_id}", headers=ann.headers),
            client.patch(path, json={"body": "New"}, headers=ann.headers),
            client.delete(path, headers=ann.headers),
        )

        assert (gone.status_code, changed.status_code in (200, 404), deleted.status_code in (204, 404)) == (
            204,
            True,
            True,
        )
        assert await database.fetchval("SELECT count(*) FROM comments") == 0


async def test_an_admin_who_is_demoted_while_a_post_is_waited_for_changes_nothing(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings, database: asyncpg.Connection
) -> None:
    eve, root = await accounts.signed_in("eve", role="admin"), await accounts.signed_in("root", role="admin")
    post_id = await writings.post(root)

    async def demote() -> httpx.Response:
        return await client.patch(f"/api/users/{eve.id}", json={"role": "user"}, headers=root.headers)

    changed, demoted = await while_locked(
        database,
        "SELECT FROM posts WHERE id = $1 FOR UPDATE",
        post_id,
        client.patch(f"/api/posts/{post_id}", json={"title": "New"}, headers=eve.headers),
        demote(),
        meanwhile="",
    )

    assert demoted.status_code == 200
    assert_problem(changed, 403, "FORBIDDEN")
    assert await database.fetchval("SELECT title FROM posts") == "A title"


async def test_an_author_who_is_disabled_while_a_post_is_waited_for_changes_nothing(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    post_id = await writings.post(ann)

    [answer] = await while_locked(
        database,
        "SELECT FROM posts WHERE id = $1 FOR UPDATE",
        post_id,
        client.delete(f"/api/posts/{post_id}", headers=ann.headers),
        meanwhile="WITH one AS (SELECT $1::uuid) UPDATE users SET is_active = false",
    )

    assert_problem(answer, 401, "INVALID_TOKEN")
    assert await database.fetchval("SELECT count(*) FROM posts") == 1

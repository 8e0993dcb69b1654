"""The statements that most requests run find their rows by an index, on tables that are large enough for one to pay.

The statements are those that the service sends, with their parameters. They are planned twice: for these parameters,
and for any, since PostgreSQL may do either when a statement comes again.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from service.embedded import Cluster
from tests.conftest import make_settings
from tests.support.accounts import PASSWORD, Account, Accounts
from tests.support.instances import Instance, connect, serving
from tests.support.statements import plans, statements_of
from tests.support.writings import Writings

USERS, ROWS = 10_000, 2000
SESSIONS_EACH, COMMENTS_EACH = 10, 3
"""Where there is one of each, the index of the owner is as good as that of the id."""
LARGE = {"users", "posts", "comments", "sessions", "token_blocklist", "idempotency_keys"}
TOKEN = {"pk_users", "pk_token_blocklist"}
FILLING = (
    "INSERT INTO users (username, email, password_hash, created_at)"
    " SELECT 'u' || n, 'u' || n || '@example.com', repeat('h', 97), now() - n * interval '1 minute'"
    f" FROM generate_series(1, {USERS}) n",
    # Bodies have some length, or the whole table is less to read than twenty ways down an index.
    "INSERT INTO posts (author_id, title, body, created_at)"
    f" SELECT id, 'title', repeat('word ', 200), created_at FROM users LIMIT {ROWS}",
    "INSERT INTO comments (post_id, author_id, body, created_at)"
    f" SELECT id, author_id, 'body', created_at FROM posts, generate_series(1, {COMMENTS_EACH})",
    "INSERT INTO sessions (user_id, refresh_jti, expires_at, ends_at)"
    " SELECT id, gen_random_uuid(), now() + interval '1 day', now() + interval '1 day'"
    f" FROM users, generate_series(1, {SESSIONS_EACH}) WHERE id % {SESSIONS_EACH} = 0",
    "INSERT INTO token_blocklist (id, expires_at)"
    f" SELECT gen_random_uuid(), now() + interval '1 day' FROM generate_series(1, {ROWS})",
    "INSERT INTO idempotency_keys (scope, request, user_id, status, body, location, etag, expires_at)"
    " SELECT sha256(id::text::bytea), 'digest', id, 201, 'null', '', '', now() + interval '1 day'"
    f" FROM users LIMIT {ROWS}",
)


@dataclass(frozen=True)
class Busy:
    """A service whose tables have some thousand rows each, and a connection beside it."""

    instance: Instance
    database: asyncpg.Connection
    ann: Account
    post_id: str
    comment_id: int

    def path(self, template: str) -> str:
        return template.format(user=self.ann.id, post=self.post_id, comment=self.comment_id)

    async def log_in(self) -> Account:
        """Begin another session of the account's."""
        return await Accounts(self.instance.client, self.database).log_in(self.ann)

    async def indexes(self, method: str, path: str, status: int = 200, **request: Any) -> set[str]:
        """Make a request, and return the indexes by which its statements find rows, however they are planned.

        No large table may be read from its beginning to its end.
        """
        with statements_of(self.instance.context) as seen:
            answer = await self.instance.client.request(method, path, **request)
        assert answer.status_code == status, answer.text
        used: list[set[str]] = [set(), set()]
        for statement, parameters in seen:
            for place, plan in enumerate(await plans(self.database, statement, parameters)):
                assert not plan.read_whole & LARGE, f"{plan.read_whole & LARGE} read as a whole by {statement}"
                used[place] |= plan.indexes
        return used[0] & used[1]


@pytest.fixture(scope="module")
async def busy(cluster: Cluster, template: str) -> AsyncIterator[Busy]:
    administration = await connect(cluster.url("postgres"))
    await administration.execute(f"CREATE DATABASE busy TEMPLATE {template}")
    await administration.close()
    url = cluster.url("busy")
    database = await connect(url)
    for statement in FILLING:
        await database.execute(statement)
    async with serving(make_settings(database_url=url), url) as instance:
        ann = await Accounts(instance.client, database).signed_in("ann")
        writings = Writings(database)
        post_id = await writings.post(ann)
        comment_id = await writings.comment(post_id, ann)
        await database.execute("ANALYZE")
        await database.execute("SET enable_seqscan = off")  # as the service's connections have it
        yield Busy(instance, database, ann, post_id, comment_id)
    await database.close()


LISTS = {
    "users": ("/api/users/", {"ix_users_created_at_id"}),
    "posts": ("/api/posts/", {"ix_posts_created_at_id", "pk_posts", "pk_users"}),
    "posts of a user": ("/api/users/{user}/posts/", {"ix_posts_author_id_created_at_id", "pk_users"}),
    "comments": ("/api/posts/{post}/comments/", {"ix_comments_post_id_created_at_id", "pk_posts"}),
}
READS = {
    "the holder of a token": ("/api/auth/me", TOKEN),
    "a user": ("/api/users/{user}", TOKEN),
    "a post": ("/api/posts/{post}", {"pk_posts", "pk_users"}),
    "a comment": ("/api/posts/{post}/comments/{comment}", {"pk_comments", "pk_posts", "pk_users"}),
    **{f"the first page of {name}": listed for name, listed in LISTS.items()},
}


@pytest.mark.parametrize(("path", "expected"), READS.values(), ids=READS.keys())
async def test_a_read_finds_its_rows_by_index(busy: Busy, path: str, expected: set[str]) -> None:
    assert await busy.indexes("GET", busy.path(path), headers=busy.ann.headers) >= expected


@pytest.mark.parametrize("name", ["users", "posts"])
async def test_a_list_is_walked_along_its_index(busy: Busy, name: str) -> None:
    path, expected = LISTS[name]
    first = await busy.instance.client.get(f"{path}?cursor=", headers=busy.ann.headers)

    for cursor in ("", first.json()["next_cursor"]):
        assert await busy.indexes("GET", f"{path}?cursor={cursor}", headers=busy.ann.headers) >= expected


async def test_a_login_finds_its_account_by_the_email(busy: Busy) -> None:
    document = {"email": busy.ann.email, "password": PASSWORD}

    assert await busy.indexes("POST", "/api/auth/login", json=document) >= {"uq_users_email_key"}


async def test_a_refresh_finds_its_session_by_the_id(busy: Busy) -> None:
    session = await busy.log_in()

    used = await busy.indexes("POST", "/api/auth/refresh", headers=session.refresh_headers)

    assert used >= TOKEN | {"pk_sessions"}


async def test_a_logout_finds_its_session_by_the_id(busy: Busy) -> None:
    session = await busy.log_in()

    used = await busy.indexes("DELETE", "/api/auth/logout", headers=session.headers)

    assert used >= TOKEN | {"pk_sessions"}


async def test_a_request_finds_what_was_answered_to_its_key_by_index(busy: Busy) -> None:
    headers = busy.ann.headers | {"Idempotency-Key": uuid.uuid4().hex}
    request = {"json": {"title": "a title", "body": "a body"}, "headers": headers}

    for _ in ("first", "again"):
        used = await busy.indexes("POST", "/api/posts/", 201, **request)

        assert used >= TOKEN | {"pk_idempotency_keys"}


async def test_a_change_finds_its_post_by_the_id(busy: Busy) -> None:
    post_id = await Writings(busy.database).post(busy.ann)

    used = await busy.indexes("PATCH", f"/api/posts/{post_id}", json={"title": "new"}, headers=busy.ann.headers)

    assert used >= TOKEN | {"pk_posts"}

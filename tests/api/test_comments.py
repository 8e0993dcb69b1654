from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.accounts import Account, Accounts
from tests.support.problems import assert_problem
from tests.support.writings import Document, Writings

NEW = {"body": "A comment"}
NOBODYS = "01890000-0000-7000-8000-000000000000"
MEMBERS = {"id", "post_id", "body", "author", "author_id", "created_at", "updated_at"}
METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE"]
ASTRAL = "\U0001f98a"


async def ask(
    client: httpx.AsyncClient, method: str, path: str, account: Account | None = None, body: object = None
) -> httpx.Response:
    """Ask for, write or delete something; what is written is a good comment unless ``body`` says otherwise."""
    sent: dict[str, Any] = {"json": NEW if body is None else body} if method.startswith("P") else {}
    return await client.request(method, path, headers=account.headers if account else None, **sent)


async def shown(client: httpx.AsyncClient, path: str) -> Document:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    document: Document = answer.json()
    return document


async def refused(client: httpx.AsyncClient, method: str, path: str, account: Account, body: object) -> list[str]:
    """The pointers of the faults for which this body is refused."""
    answer = await ask(client, method, path, account, body)
    return [fault["pointer"] for fault in assert_problem(answer, 400, "VALIDATION_ERROR")["errors"]]


@pytest.fixture
async def post(accounts: Accounts, writings: Writings) -> str:
    """The path of a post whose author is "poster"."""
    return f"/api/posts/{await writings.post(await accounts.add('poster'))}"


@pytest.fixture
async def comment(accounts: Accounts, writings: Writings, post: str) -> str:
    """The path of a comment, on that post, whose author is "ann"."""
    ann = await accounts.add("ann")
    return f"{post}/comments/{await writings.comment(post.rpartition('/')[2], ann)}"


@pytest.fixture
async def ann(accounts: Accounts, comment: str, database: asyncpg.Connection) -> Account:
    """Who wrote the comment, signed in."""
    ann_id = await database.fetchval("SELECT id FROM users WHERE username = 'ann'")
    return await accounts.log_in(Account(ann_id, "ann", "ann@example.com"))


@pytest.mark.parametrize("slash", ["/", ""])
async def test_anybody_signed_in_comments_on_a_post(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, post: str, slash: str
) -> None:
    bob = await accounts.signed_in("bob")

    answer = await ask(client, "POST", f"{post}/comments{slash}", bob)

    document = answer.json()
    row = await database.fetchrow("SELECT id, post_id, author_id, body, created_at, updated_at FROM comments")
    assert answer.status_code == 201
    assert document.keys() == MEMBERS
    assert (document["author"], document["author_id"], document["body"]) == ("bob", bob.id, "A comment")
    assert (document["id"], document["post_id"], *row[2:4]) == (row[0], str(row[1]), bob.id, "A comment")
    assert f"/api/posts/{row['post_id']}" == post
    assert [datetime.fromisoformat(document[name]) for name in ("created_at", "updated_at")] == list(row)[4:]
    assert answer.headers["location"] == f"{post}/comments/{row['id']}"
    assert await shown(client, answer.headers["location"]) == document


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, None),
        ([], [""]),
        ("body", [""]),
        ({"body": ""}, ["/body"]),
        ({"body": "x" * 8193}, ["/body"]),
        ({"body": ASTRAL * 8193}, ["/body"]),
        ({"body": None}, ["/body"]),
        ({"body": 1}, ["/body"]),
        ({"body": ["a"]}, ["/body"]),
        ({"body": "a\0b"}, ["/body"]),
        (NEW | {"id": 7}, ["/id"]),
        (NEW | {"post_id": NOBODYS}, ["/post_id"]),
        (NEW | {"author_id": 1}, ["/author_id"]),
        (NEW | {"title": "x"}, ["/title"]),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_body_that_is_no_comment_is_refused(
    client: httpx.AsyncClient,
    database: asyncpg.Connection,
    ann: Account,
    comment: str,
    body: object,
    pointers: list[str] | None,
) -> None:
    assert await refused(client, "POST", comment.rpartition("/")[0], ann, body) == (pointers or ["/body"])
    for method in ("PUT", "PATCH"):
        assert await refused(client, method, comment, ann, body) == (pointers or [""])
    assert await database.fetchval("SELECT array_agg(body) FROM comments") == ["A comment"]


@pytest.mark.parametrize("text", ["x" * 8192, ASTRAL * 8192, "\n", "\ufeff"], ids=["8,192", "astral", "\\n", "BOM"])
async def test_a_comment_may_have_so_many_characters(
    client: httpx.AsyncClient, accounts: Accounts, post: str, text: str
) -> None:
    answer = await ask(client, "POST", f"{post}/comments/", await accounts.signed_in("bob"), {"body": text})

    assert (answer.status_code, answer.json()["body"]) == (201, text)


async def test_without_its_post_there_is_no_comment(client: httpx.AsyncClient, accounts: Accounts) -> None:
    bob = await accounts.signed_in("bob")
    path = f"/api/posts/{NOBODYS}/comments"

    answers = [await ask(client, method, f"{path}/", bob) for method in ("GET", "POST")]
    answers += [await ask(client, method, f"{path}/1", bob) for method in METHODS if method != "HEAD"]

    for answer in answers:
        assert_problem(answer, 404, "NOT_FOUND")


async def test_a_comment_is_not_found_under_another_post(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings, database: asyncpg.Connection, comment: str
) -> None:
    root = await accounts.signed_in("root", role="admin")
    elsewhere = f"/api/posts/{await writings.post(root)}/comments/{comment.rpartition('/')[2]}"

    for method in METHODS:
        assert (await ask(client, method, elsewhere, root, {"body": "New"})).status_code == 404
    assert await database.fetchval("SELECT array_agg(body) FROM comments") == ["A comment"]


@pytest.mark.parametrize("comment_id", ["0", "-1", "x", "1.0", "%D9%A1", str(2**63), "1/", "1/2"])
async def test_what_is_no_id_of_a_comment_is_no_path(client: httpx.AsyncClient, post: str, comment_id: str) -> None:
    answers = [await ask(client, method, f"{post}/comments/{comment_id}") for method in METHODS]

    assert {answer.status_code for answer in answers} == {404}


@pytest.mark.parametrize("comment_id", [999, 2**63 - 1])
async def test_nobodys_comment_is_not_found(
    client: httpx.AsyncClient, accounts: Accounts, post: str, comment_id: int
) -> None:
    bob = await accounts.signed_in("bob")

    answers = [await ask(client, method, f"{post}/comments/{comment_id}", bob) for method in METHODS]

    assert {answer.status_code for answer in answers} == {404}
    assert_problem(answers[0], 404, "NOT_FOUND")


async def test_head_of_a_comment_is_get_without_its_body(client: httpx.AsyncClient, comment: str) -> None:
    for path in (comment, comment.rpartition("/")[0], comment.rpartition("/")[0] + "/"):
        head, get = await client.head(path), await client.get(path)

        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(get.content))


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_an_author_changes_their_comment(
    client: httpx.AsyncClient, database: asyncpg.Connection, ann: Account, comment: str, method: str
) -> None:
    before = await shown(client, comment)

    answer = await ask(client, method, comment, ann, {"body": "New"})

    after = answer.json()
    assert answer.status_code == 200
    assert after == before | {"body": "New", "updated_at": after["updated_at"]}
    assert datetime.fromisoformat(after["updated_at"]) > datetime.fromisoformat(before["updated_at"])
    assert after == await shown(client, comment)
    assert await database.fetchval("SELECT body FROM comments") == "New"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("who", ["bob", "poster"])
async def test_strangers_and_the_posts_author_write_nothing_of_a_comment(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, comment: str, method: str, who: str
) -> None:
    if who == "bob":
        await accounts.add("bob")
    stranger = await accounts.log_in(Account(0, who, f"{who}@example.com"))
    verb = "delete" if method == "DELETE" else "update"

    answer = await ask(client, method, comment, stranger, {"body": "New"})

    assert_problem(answer, 403, "FORBIDDEN", f"Cannot {verb} another user's comment")
    assert await database.fetchval("SELECT array_agg(body) FROM comments") == ["A comment"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_nobody_writes_nothing_of_a_comment(
    client: httpx.AsyncClient, database: asyncpg.Connection, comment: str, method: str
) -> None:
    assert_problem(await ask(client, method, comment), 401, "TOKEN_MISSING")
    assert_problem(await ask(client, "POST", comment.rpartition("/")[0]), 401, "TOKEN_MISSING")
    assert await database.fetchval("SELECT array_agg(body) FROM comments") == ["A comment"]


async def test_an_admin_changes_and_deletes_anybodys_comment(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, comment: str
) -> None:
    root = await accounts.signed_in("root", role="admin")

    changed = await ask(client, "PATCH", comment, root, {"body": "New"})
    deleted = await ask(client, "DELETE", comment, root)

    assert (changed.status_code, changed.json()["author"], deleted.status_code) == (200, "ann", 204)
    assert await database.fetchval("SELECT count(*) FROM comments") == 0


async def test_an_author_deletes_their_comment_and_the_post_stays(
    client: httpx.AsyncClient, ann: Account, post: str, comment: str
) -> None:
    answer = await ask(client, "DELETE", comment, ann)

    assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(await ask(client, "DELETE", comment, ann), 404, "NOT_FOUND")
    assert_problem(await client.get(comment), 404, "NOT_FOUND")
    assert (await shown(client, post))["author"] == "poster"
    assert (await shown(client, f"{post}/comments/"))["comments"] == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM users WHERE id = $1", "UPDATE users SET is_active = false WHERE id = $1"],
    ids=["deleted", "disabled"],
)
async def test_who_has_no_account_any_more_writes_no_comment(
    client: httpx.AsyncClient, database: asyncpg.Connection, ann: Account, comment: str, method: str, statement: str
) -> None:
    await database.execute(statement, ann.id)

    answer = await ask(client, method, comment.rpartition("/")[0] if method == "POST" else comment, ann)

    assert_problem(answer, 401, "INVALID_TOKEN", "Invalid token")


async def test_comments_come_oldest_first(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings, post: str
) -> None:
    ids = await writings.comments(post.rpartition("/")[2], await accounts.add("bob"), 3)
    await writings.comment(await writings.post(await accounts.add("eve")), await accounts.add("zoe"))

    document = await shown(client, f"{post}/comments/")

    assert [comment["id"] for comment in document.pop("comments")] == ids
    assert document == {"per_page": 20, "next_cursor": None, "total": 3, "pages": 1, "current_page": 1}


async def test_an_authors_new_name_shows_with_their_comments(
    client: httpx.AsyncClient, ann: Account, comment: str
) -> None:
    await client.patch(f"/api/users/{ann.id}", json={"username": "zoe"}, headers=ann.headers)

    assert (await shown(client, comment))["author"] == "zoe"
    assert (await shown(client, comment.rpartition("/")[0]))["comments"][0]["author"] == "zoe"


@pytest.mark.parametrize("comment_id", [None, 2**63 - 1], ids=["without id", "with an id"])
async def test_a_comment_that_sql_inserts_is_served(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, post: str, comment_id: int | None
) -> None:
    bob = await accounts.signed_in("bob")
    columns, values = ("id, ", f"{comment_id}, ") if comment_id else ("", "")

    made = await database.fetchval(
        f"INSERT INTO comments ({columns}post_id, author_id, body)"
        f" {'OVERRIDING SYSTEM VALUE' if comment_id else ''} VALUES ({values}$1, $2, 'by SQL') RETURNING id",
        post.rpartition("/")[2],
        bob.id,
    )

    assert (await shown(client, f"{post}/comments/{made}"))["body"] == "by SQL"
    assert (await ask(client, "PATCH", f"{post}/comments/{made}", bob)).status_code == 200


@pytest.mark.parametrize("query", ["author_id=1", "search=x", "post_id=" + NOBODYS, "sort=body"])
async def test_comments_have_no_such_filter(client: httpx.AsyncClient, post: str, query: str) -> None:
    document = assert_problem(await client.get(f"{post}/comments/?{query}"), 400, "VALIDATION_ERROR")

    assert [fault["pointer"] for fault in document["errors"]] == ["?" + query.partition("=")[0]]

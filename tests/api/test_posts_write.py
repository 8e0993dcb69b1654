from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.accounts import Account, Accounts
from tests.support.problems import assert_problem

NEW = {"title": "A title", "body": "A body"}
MEMBERS = {"id", "title", "body", "author", "author_id", "created_at", "updated_at"}
ASTRAL = "\U0001f98a"


async def write(client: httpx.AsyncClient, author: Account, **members: object) -> httpx.Response:
    return await client.post("/api/posts/", json=NEW | members, headers=author.headers)


async def refused(client: httpx.AsyncClient, author: Account, body: object) -> list[str]:
    """The pointers of the faults for which a post of this body is refused."""
    answer = await client.post("/api/posts/", json=body, headers=author.headers)
    return [fault["pointer"] for fault in assert_problem(answer, 400, "VALIDATION_ERROR")["errors"]]


async def test_a_post_is_made_with_its_author_from_the_token(client: httpx.AsyncClient, accounts: Accounts) -> None:
    await accounts.add("bob")
    ann = await accounts.signed_in("ann")

    answer = await write(client, ann)

    document = answer.json()
    assert answer.status_code == 201
    assert document.keys() == MEMBERS
    assert {name: document[name] for name in ("title", "body", "author", "author_id")} == {
        **NEW,
        "author": "ann",
        "author_id": ann.id,
    }


async def test_the_row_of_a_post_is_what_was_sent(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")

    document = (await write(client, ann)).json()

    row = await database.fetchrow("SELECT id, author_id, title, body, created_at, updated_at FROM posts")
    assert tuple(row)[:4] == (uuid.UUID(document["id"]), ann.id, NEW["title"], NEW["body"])
    assert [datetime.fromisoformat(document[name]) for name in ("created_at", "updated_at")] == list(row)[4:]


async def test_location_leads_to_the_new_post(client: httpx.AsyncClient, accounts: Accounts) -> None:
    made = await write(client, await accounts.signed_in("ann"))

    found = await client.get(made.headers["location"])

    assert made.headers["location"] == f"/api/posts/{made.json()['id']}"
    assert (found.status_code, found.json()) == (200, made.json())


async def test_the_id_of_a_post_is_a_uuid7_of_now(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    before = time.time_ns() // 1_000_000

    post_id = uuid.UUID((await write(client, ann)).json()["id"])

    assert (post_id.version, post_id.variant) == (7, uuid.RFC_4122)
    assert before <= post_id.int >> 80 <= time.time_ns() // 1_000_000


async def test_ids_of_later_posts_are_larger(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    ids = []
    for _ in range(3):
        ids.append((await write(client, ann)).json()["id"])
        await asyncio.sleep(0.002)

    assert ids == sorted(ids)


async def test_a_new_post_is_made_now_and_not_changed_yet(client: httpx.AsyncClient, accounts: Accounts) -> None:
    document = (await write(client, await accounts.signed_in("ann"))).json()

    made = datetime.fromisoformat(document["created_at"])
    assert document["created_at"] == document["updated_at"]
    assert document["created_at"].endswith("Z")
    assert abs(datetime.now(UTC) - made) < timedelta(seconds=10)


@pytest.mark.parametrize("path", ["/api/posts/", "/api/posts"])
async def test_posts_are_made_with_and_without_the_slash(
    client: httpx.AsyncClient, accounts: Accounts, path: str
) -> None:
    ann = await accounts.signed_in("ann")

    assert (await client.post(path, json=NEW, headers=ann.headers)).status_code == 201


@pytest.mark.parametrize("name", ["id", "author_id", "author", "created_at", "updated_at", "search", "is_removed", "x"])
async def test_unknown_members_of_a_post_are_refused(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, name: str
) -> None:
    ann = await accounts.signed_in("ann")
    value = {"id": str(uuid.uuid4()), "author_id": ann.id}.get(name, "x4711")

    assert await refused(client, ann, NEW | {name: value}) == [f"/{name}"]
    assert await database.fetchval("SELECT count(*) FROM posts") == 0


@pytest.mark.parametrize("name", ["title", "body"])
async def test_a_post_needs_both_members(client: httpx.AsyncClient, accounts: Accounts, name: str) -> None:
    ann = await accounts.signed_in("ann")

    assert await refused(client, ann, {key: value for key, value in NEW.items() if key != name}) == [f"/{name}"]


@pytest.mark.parametrize("value", [None, 1, 1.5, True, [], ["a"], {}, {"a": "b"}], ids=str)
async def test_what_is_no_text_is_no_member_of_a_post(
    client: httpx.AsyncClient, accounts: Accounts, value: object
) -> None:
    ann = await accounts.signed_in("ann")

    assert await refused(client, ann, {"title": value, "body": value}) == ["/title", "/body"]


@pytest.mark.parametrize("body", [[], [NEW], "title", 1, True], ids=str)
async def test_what_is_no_object_is_no_post(client: httpx.AsyncClient, accounts: Accounts, body: object) -> None:
    ann = await accounts.signed_in("ann")

    assert await refused(client, ann, body) == [""]


@pytest.mark.parametrize("character", ["x", ASTRAL, "\ufeff", " "], ids=ascii)
@pytest.mark.parametrize(("name", "most"), [("title", 200), ("body", 65_536)])
async def test_members_of_a_post_may_have_so_many_characters(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, name: str, most: int, character: str
) -> None:
    ann = await accounts.signed_in("ann")

    for count in (1, most):
        answer = await write(client, ann, **{name: character * count})
        assert (answer.status_code, answer.json()[name]) == (201, character * count)

    lengths = await database.fetch(f"SELECT char_length({name}) FROM posts ORDER BY 1")
    assert [row[0] for row in lengths] == [1, most]
    assert await refused(client, ann, NEW | {name: character * (most + 1)}) == [f"/{name}"]
    assert await refused(client, ann, NEW | {name: ""}) == [f"/{name}"]


async def test_a_body_whose_characters_are_all_escaped_is_as_long(
    client: httpx.AsyncClient, accounts: Accounts
) -> None:
    ann = await accounts.signed_in("ann")
    content = '{"title":"t","body":"' + r"\ud83e\udd8a" * 65_536 + '"}'

    answer = await client.post(
        "/api/posts/", content=content, headers=ann.headers | {"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.json()["body"]) == (201, ASTRAL * 65_536)


@pytest.mark.parametrize(("name", "text"), [("title", "\0"), ("body", "a\0b")], ids=["title", "body"])
async def test_null_characters_in_a_post_are_refused(
    client: httpx.AsyncClient, accounts: Accounts, name: str, text: str
) -> None:
    ann = await accounts.signed_in("ann")

    assert await refused(client, ann, NEW | {name: text}) == [f"/{name}"]


@pytest.mark.parametrize("escape", [r"\ud83e", r"\udd8a", r"\udd8a\ud83e"])
async def test_lone_surrogates_in_a_post_are_malformed(
    client: httpx.AsyncClient, accounts: Accounts, escape: str
) -> None:
    ann = await accounts.signed_in("ann")
    content = '{"title":"t","body":"' + escape + '"}'

    answer = await client.post(
        "/api/posts/", content=content, headers=ann.headers | {"Content-Type": "application/json"}
    )

    assert_problem(answer, 400, "MALFORMED_REQUEST")


@pytest.mark.parametrize(
    "text",
    [
        " leading and trailing ",
        "line\r\nbreaks\u2028\u2029\t",
        "<script>alert(1)</script>&amp;",
        "'; DROP TABLE posts; --",
        '"quoted" \\ {{ 7 * 7 }} %s :name $1',
        "e\u0301 \ufb01 \u212b",
        "\x01\x7f\x9f\ufffe\uffff\U0010ffff",
    ],
    ids=ascii,
)
async def test_text_comes_back_as_it_was_sent(client: httpx.AsyncClient, accounts: Accounts, text: str) -> None:
    answer = await write(client, await accounts.signed_in("ann"), title=text, body=text)

    assert (answer.status_code, answer.json()["title"], answer.json()["body"]) == (201, text, text)
    assert (await client.get(answer.headers["location"])).json() == answer.json()


def words(letters: int, joined_by: str, each: int) -> str:
    """A body of the full length: words of astral letters, all different, each of so many parts."""

    def parts() -> Iterator[str]:
        number = 0
        while True:
            yield "".join(chr(0x20000 + (number * 997 + place * 31) % 42_000) for place in range(letters))
            number += 1

    part, body = parts(), ""
    while len(body) < 65_536:
        body += joined_by.join(next(part) for _ in range(each)) + " "
    return body[:65_536]


@pytest.mark.parametrize(
    "body",
    [
        words(1, "", 1),
        words(2, "", 1),
        words(500, "", 1),
        words(1, "-", 2),
        words(1, "-", 250),
        words(2, "-", 170),
        words(1, "/", 2),
        "\u0130 " * 32_768,
        "".join(f"{number}.{number}.{number} " for number in range(4000)),
        "".join(f"a{number}@b{number}.example " for number in range(2900)),
        "".join(f"http://h{number}.example/p{number} " for number in range(2000)),
    ],
    ids=[
        *("letters", "pairs", "long words", "pairs with hyphens", "long words with hyphens", "long words of pairs"),
        *("paths", "letters that grow", "versions", "emails", "addresses"),
    ],
)
async def test_a_body_whose_index_is_as_large_as_can_be_is_taken(
    client: httpx.AsyncClient, accounts: Accounts, body: str
) -> None:
    answer = await write(client, await accounts.signed_in("ann"), title="\U00020000-" * 100, body=body)

    assert (answer.status_code, answer.json()["body"]) == (201, body)


async def gone(database: asyncpg.Connection, account: Account) -> None:
    await database.execute("DELETE FROM users WHERE id = $1", account.id)


async def disabled(database: asyncpg.Connection, account: Account) -> None:
    await database.execute("UPDATE users SET is_active = false WHERE id = $1", account.id)


@pytest.mark.parametrize("befall", [gone, disabled], ids=["deleted", "disabled"])
async def test_who_has_no_account_any_more_writes_nothing(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, befall: Any
) -> None:
    ann = await accounts.signed_in("ann")
    await befall(database, ann)

    assert_problem(await write(client, ann), 401, "INVALID_TOKEN", "Invalid token")
    assert await database.fetchval("SELECT count(*) FROM posts") == 0


async def test_who_says_nothing_of_themselves_writes_nothing(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    assert_problem(await client.post("/api/posts/", json=NEW), 401, "TOKEN_MISSING")
    assert await database.fetchval("SELECT count(*) FROM posts") == 0


async def test_a_post_takes_no_query(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.post("/api/posts/?author_id=1", json=NEW, headers=ann.headers)

    assert [fault["pointer"] for fault in assert_problem(answer, 400, "VALIDATION_ERROR")["errors"]] == ["?author_id"]

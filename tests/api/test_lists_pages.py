"""Lists by page, and what their queries may say."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.accounts import Accounts
from tests.support.problems import assert_problem, said
from tests.support.writings import KINDS, Lists, Writings

EACH_LIST = pytest.mark.parametrize("kind", KINDS)
NOBODYS = "01890000-0000-7000-8000-000000000000"


def pointers(answer: httpx.Response) -> list[str]:
    return [fault["pointer"] for fault in assert_problem(answer, 400, "VALIDATION_ERROR")["errors"]]


@EACH_LIST
async def test_the_first_twenty_come_by_default(client: httpx.AsyncClient, lists: Lists, kind: str) -> None:
    listed = await lists.make(kind, 21)

    document = await listed.get(client)

    assert [row["id"] for row in document.pop(listed.member)] == listed.ids[:20]
    assert isinstance(document.pop("next_cursor"), str)
    assert document == {"per_page": 20, "total": 21, "pages": 2, "current_page": 1}


@EACH_LIST
async def test_pages_follow_one_another(client: httpx.AsyncClient, lists: Lists, kind: str) -> None:
    listed = await lists.make(kind, 7)

    documents = [await listed.get(client, page=number, per_page=3) for number in (1, 2, 3, 4)]

    assert [[row["id"] for row in document[listed.member]] for document in documents] == [
        listed.ids[:3],
        listed.ids[3:6],
        listed.ids[6:],
        [],
    ]
    assert [document["current_page"] for document in documents] == [1, 2, 3, 4]
    assert {(document["total"], document["pages"], document["per_page"]) for document in documents} == {(7, 3, 3)}
    assert [document["next_cursor"] is None for document in documents] == [False, False, True, True]


@EACH_LIST
async def test_the_last_page_may_be_full(client: httpx.AsyncClient, lists: Lists, kind: str) -> None:
    listed = await lists.make(kind, 6)

    document = await listed.get(client, page=2, per_page=3)

    assert ([row["id"] for row in document[listed.member]], document["next_cursor"]) == (listed.ids[3:], None)
    assert (document["total"], document["pages"]) == (6, 2)


@EACH_LIST
async def test_a_page_has_100_rows_at_most(client: httpx.AsyncClient, lists: Lists, kind: str) -> None:
    listed = await lists.make(kind, 101)

    for asked, given in ((1, 1), (100, 100), (101, 100), (10**30, 100)):
        document = await listed.get(client, per_page=asked)
        assert (document["per_page"], len(document[listed.member])) == (given, given)
        assert document["pages"] == -(-101 // given)


@EACH_LIST
async def test_a_list_answers_without_its_slash_and_to_head(client: httpx.AsyncClient, lists: Lists, kind: str) -> None:
    listed = await lists.make(kind, 2)
    path = listed.path.removesuffix("/")

    get = await client.get(path, headers=listed.headers)
    head = await client.head(path, headers=listed.headers)

    assert get.json() == await listed.get(client)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(get.content)))


@EACH_LIST
async def test_a_list_without_rows_is_empty_both_ways(
    client: httpx.AsyncClient, lists: Lists, database: asyncpg.Connection, kind: str
) -> None:
    listed = await lists.make(kind, 1)
    query = {"search": "nothing"} if kind == "users" else {}
    if kind != "users":
        await database.execute(f"DELETE FROM {listed.table}")

    page, part = await listed.get(client, **query), await listed.get(client, cursor="", **query)

    assert page == {listed.member: [], "per_page": 20, "next_cursor": None, "total": 0, "pages": 0, "current_page": 1}
    assert part == {listed.member: [], "per_page": 20, "next_cursor": None}


@pytest.mark.parametrize(
    "query",
    [
        *("page=0", "page=-1", "page=10001", "page=x", "page=", "page=%D9%A1", "page=1.0", "page=%2B1", "page=1_0"),
        *("per_page=0", "per_page=-1", "per_page=x4711", "per_page=", "per_page=1e1"),
        *(
            "sort=",
            "sort=id",
            "sort=-id",
            "sort=%2Bcreated_at",
            "sort=CREATED_AT",
            "sort=created_at,id",
            "sort=--created_at",
        ),
        *("sort=updated_at", "sort=author", "sort=1", "x=4711", "limit=1", "offset=1", "Cursor=", "is_removed=true"),
        *("cursor=&cursor=", "page=1&page=1"),
    ],
)
async def test_a_query_of_another_shape_is_refused(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings, query: str
) -> None:
    ann = await accounts.signed_in("ann")
    post_id = await writings.post(ann)

    for path in ("/api/users/", "/api/posts/", f"/api/users/{ann.id}/posts/", f"/api/posts/{post_id}/comments/"):
        answer = await client.get(f"{path}?{query}", headers=ann.headers)
        assert pointers(answer) == ["?" + query.partition("=")[0]]
        assert "4711" not in said(answer)


@pytest.mark.parametrize("kind", ["posts", "posts of a user", "comments"])
async def test_only_accounts_are_sorted_by_name(client: httpx.AsyncClient, lists: Lists, kind: str) -> None:
    listed = await lists.make(kind, 1)

    for sort in ("username", "-username"):
        assert pointers(await listed.ask(client, sort=sort)) == ["?sort"]


@EACH_LIST
async def test_each_list_sorts_both_ways_by_time(client: httpx.AsyncClient, lists: Lists, kind: str) -> None:
    listed = await lists.make(kind, 5)
    oldest_first = listed.ids if kind == "comments" else listed.ids[::-1]

    assert await listed.shown(client, sort="created_at") == oldest_first
    assert await listed.shown(client, sort="-created_at") == oldest_first[::-1]
    assert await listed.shown(client, sort="created_at", page=2, per_page=2) == oldest_first[2:4]


async def test_accounts_sort_both_ways_by_name_in_the_order_of_folded_characters(
    client: httpx.AsyncClient, accounts: Accounts
) -> None:
    zoe = await accounts.signed_in("zoe")
    for name in ("Bob", "ann", "ANNA", "\u00e9mile", "_x", "ann-b", "9to5", "\uff41nnb", "\u0436ann"):
        await accounts.add(name)
    # By code point, once compatibility forms and letter case are gone.
    ordered = ["9to5", "_x", "ann", "ann-b", "ANNA", "\uff41nnb", "Bob", "zoe", "\u00e9mile", "\u0436ann"]

    names = {}
    for sort in ("username", "-username"):
        answer = await client.get("/api/users/", params={"sort": sort}, headers=zoe.headers)
        names[sort] = [user["username"] for user in answer.json()["users"]]

    assert names == {"username": ordered, "-username": ordered[::-1]}


# Filters


async def test_accounts_are_filtered_by_whether_they_are_active(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann, bob = await accounts.signed_in("ann"), await accounts.add("bob", is_active=False)

    found = {}
    for value in ("true", "false", "True", "FALSE"):
        document = (await client.get(f"/api/users/?is_active={value}", headers=ann.headers)).json()
        found[value] = ([user["id"] for user in document["users"]], document["total"])

    assert found == {value: ([bob.id if value.lower() == "false" else ann.id], 1) for value in found}


async def test_posts_are_filtered_by_their_author(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings
) -> None:
    ann, bob = await accounts.add("ann"), await accounts.add("bob")
    ids = [await writings.post(author) for author in (ann, bob, ann)]

    found: dict[str, Any] = {}
    for path in (f"/api/posts/?author_id={ann.id}", f"/api/users/{ann.id}/posts/", "/api/posts/?author_id=999"):
        document = (await client.get(path)).json()
        found[path] = ({post["id"] for post in document["posts"]}, document["total"])

    assert list(found.values()) == [({ids[0], ids[2]}, 2), ({ids[0], ids[2]}, 2), (set(), 0)]


@pytest.mark.parametrize("author_id", [1, 999])
async def test_a_users_posts_take_no_author(client: httpx.AsyncClient, lists: Lists, author_id: int) -> None:
    listed = await lists.make("posts of a user", 1)

    assert pointers(await listed.ask(client, author_id=author_id)) == ["?author_id"]


@pytest.mark.parametrize("path", ["/api/users/999/posts/", f"/api/posts/{NOBODYS}/comments/"])
@pytest.mark.parametrize("query", ["", "?cursor=", "?page=2", "?sort=created_at"])
async def test_a_list_without_its_parent_is_not_found(client: httpx.AsyncClient, path: str, query: str) -> None:
    assert_problem(await client.get(path + query), 404, "NOT_FOUND")


@pytest.mark.parametrize("kind", ["posts", "posts of a user", "comments"])
@pytest.mark.parametrize(("rows", "capped"), [(10_000, None), (10_001, True)], ids=["10,000", "10,001"])
async def test_totals_are_exact_up_to_10000_rows(
    client: httpx.AsyncClient, lists: Lists, kind: str, rows: int, capped: bool | None
) -> None:
    listed = await lists.make(kind, rows)

    document = await listed.get(client, per_page=100)
    deep = await listed.get(client, per_page=100, page=101)

    assert (document["total"], document["pages"], document.get("total_capped")) == (10_000, 100, capped)
    assert [row["id"] for row in deep[listed.member]] == listed.ids[10_000:]

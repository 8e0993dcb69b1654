"""What a list costs the database: one statement, two with its count, whatever its length."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from service.context import Context
from tests.support.statements import statements_of
from tests.support.writings import KINDS, Lists

QUERIES: dict[str, list[dict[str, Any]]] = {
    "users": [
        *({"search": "u"}, {"search": "u1"}, {"search": "lister"}, {"search": "nothing at all"}),
        *({"is_active": "true"}, {"is_active": "false", "search": "lister"}, {"sort": "username"}),
    ],
    "posts": [{"search": "body"}, {"search": "nowhere"}, {"author_id": 1}, {"author_id": 1, "search": "body"}],
    "posts of a user": [{"search": "body"}, {"search": "nowhere"}],
    "comments": [{"sort": "-created_at"}],
}


@pytest.mark.parametrize("rows", [1, 150])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_list_costs_one_statement_and_its_count_another(
    client: httpx.AsyncClient, lists: Lists, context: Context, kind: str, rows: int
) -> None:
    listed = await lists.make(kind, rows)
    tokens = 1 if kind == "users" else 0

    for query in ({}, *QUERIES[kind]):
        page = await listed.get(client, per_page=2, **query)
        places: list[tuple[dict[str, Any], int]] = [
            ({"per_page": 100}, 2),
            ({"page": 2}, 2),
            ({"page": 9999}, 2),
            ({"cursor": ""}, 1),
            ({"cursor": "", "per_page": 100}, 1),
            ({"cursor": page["next_cursor"] or ""}, 1),
        ]
        for place, expected in places:
            with statements_of(context) as seen:
                await listed.get(client, **place, **query)
            assert len(seen) == tokens + expected, (query, place, seen)


@pytest.mark.parametrize("kind", KINDS)
async def test_how_deep_a_page_is_decides_no_plan_of_another(
    client: httpx.AsyncClient, lists: Lists, context: Context, kind: str
) -> None:
    """PostgreSQL plans a statement for what it has typically cost, and deep pages cost more than first ones."""
    listed = await lists.make(kind, 3)
    with statements_of(context) as seen:
        for page in (1, 2, 20, 200, 2000, 3, 30):
            await listed.get(client, per_page=5, page=page)

    pages = [statement for statement, _ in seen if "LIMIT" in statement and "OFFSET" in statement]
    assert len(pages) == 7
    assert len(set(pages[:5])) == 5
    assert pages[5:] == [pages[2], pages[3]]


@pytest.mark.parametrize("path", ["/api/users/999/posts/", "/api/posts/01890000-0000-7000-8000-000000000000/comments/"])
async def test_a_list_without_its_parent_costs_one_statement(
    client: httpx.AsyncClient, context: Context, path: str
) -> None:
    with statements_of(context) as seen:
        assert (await client.get(path)).status_code == 404

    assert len(seen) == 1


async def test_a_query_that_is_refused_costs_nothing(client: httpx.AsyncClient, context: Context) -> None:
    with statements_of(context) as seen:
        for query in ("page=0", "cursor=AAAA", "sort=x", "author_id=x", "page=1&cursor="):
            assert (await client.get(f"/api/posts/?{query}")).status_code == 400

    assert seen == []

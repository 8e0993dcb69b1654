"""How often a request asks the database: once for its token, and as seldom as can be for what else it needs."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from service.context import Context
from tests.support.accounts import Accounts
from tests.support.statements import statements_of
from tests.support.writings import Writings

POST = {"title": "A title", "body": "A body"}


@pytest.mark.parametrize(
    ("method", "path", "body", "statements"),
    [
        pytest.param("GET", "/api/auth/me", None, 1, id="me: the look-up of the token"),
        pytest.param("GET", "/api/users/{user}", None, 2, id="an account: and its row"),
        pytest.param("GET", "/api/users/?per_page=20", None, 3, id="a page: and its rows and their count"),
        pytest.param("GET", "/api/users/?cursor=", None, 2, id="a part by cursor: and its rows"),
        pytest.param("GET", "/api/posts/", None, 2, id="a public page: its rows and their count"),
        pytest.param("GET", "/api/posts/{post}", None, 1, id="a post: its row"),
        pytest.param("POST", "/api/posts/", POST, 2, id="a new post: and an INSERT in its transaction"),
        pytest.param("GET", "/livez", None, 0, id="alive: nothing"),
    ],
)
async def test_a_request_asks_the_database_so_often(
    client: httpx.AsyncClient,
    accounts: Accounts,
    writings: Writings,
    context: Context,
    method: str,
    path: str,
    body: Any,
    statements: int,
) -> None:
    ann = await accounts.signed_in("ann")
    there = path.format(user=ann.id, post=await writings.post(ann))

    with statements_of(context) as seen:
        answer = await client.request(method, there, json=body, headers=ann.headers)

    assert answer.is_success, answer.text
    assert len(seen) == statements, [statement for statement, _ in seen]

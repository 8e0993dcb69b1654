from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.support.accounts import Accounts
from tests.support.problems import assert_problem
from tests.support.writings import Writings, walk

POSTS = {
    "foxes": ("Quick brown foxes", "They were jumping over lazy dogs."),
    "geese": ("A fox?", "No, geese. They run and ran."),
    "quotes": ("a b | c & !d", "It's a \"quoted\" text: a:* 'x' \\ (y) <-> z"),
    "code": ("SELECT", "'; DROP TABLE posts; -- 100%"),
    "cafe": ("\u00c9t\u00e9 au caf\u00e9", "\u4e16\u754c na\u00efve e-mail ann@example.com http://example.com/a/b"),
}


@pytest.fixture
async def ids(accounts: Accounts, writings: Writings) -> dict[str, str]:
    """Posts of some words, the last one the newest."""
    ann = await accounts.add("ann")
    return {name: await writings.post(ann, *text) for name, text in POSTS.items()}


async def found(client: httpx.AsyncClient, ids: dict[str, str], **query: str) -> list[str]:
    """The names of the posts that a search finds, the same by page and by cursor."""
    answer = await client.get("/api/posts/", params=query)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    by_page = [post["id"] for post in document["posts"]]
    assert document["total"] == len(by_page)
    assert [post["id"] for post in await walk(client, "/api/posts/", per_page=1, **dict[str, Any](query))] == by_page
    names = {post_id: name for name, post_id in ids.items()}
    return [names[post_id] for post_id in by_page]


SEARCHES: dict[str, dict[str, list[str]]] = {
    "stems": {
        "fox": ["geese", "foxes"],
        "foxes": ["geese", "foxes"],
        "FOX": ["geese", "foxes"],
        "jump": ["foxes"],
        "jumped": ["foxes"],
        "dog": ["foxes"],
        "fox dog": ["foxes"],
    },
    "all words": {
        "dog fox": ["foxes"],
        "fox goose": [],
        "fox fox fox": ["geese", "foxes"],
        "fo": [],
        "ox": [],
        "the fox": ["geese", "foxes"],
        "the": [],
    },
    "stop words": {
        "the and of": [],
        "they": [],
        " ": [],
        "\t\n": [],
        "...": [],
    },
    "signs": {
        "'": [],
        "''": [],
        '"': [],
        "\\": [],
        "%": [],
        "_": [],
        "*": [],
        ":*": [],
        "|": [],
        "!": [],
        "(": [],
        "&&": [],
    },
    "operators": {
        "<->": [],
        "fo:*": [],
        "fox:*": ["geese", "foxes"],
        "fox | select": [],
        "fox OR select": [],
        "fox or select": [],
        "!fox": ["geese", "foxes"],
        "-fox": ["geese", "foxes"],
        "fox & !dogs": ["foxes"],
        '"brown quick"': ["foxes"],
        "brown <-> quick": ["foxes"],
        '"quick dogs': ["foxes"],
        "'fox'": ["geese", "foxes"],
        "'; DROP TABLE posts; --": ["code"],
        "fox\\": ["geese", "foxes"],
    },
    "other words": {
        "100%": ["code"],
        "quoted text": ["quotes"],
        "caf\u00e9": ["cafe"],
        "CAF\u00c9": ["cafe"],
        "\u4e16\u754c": ["cafe"],
        "e-mail": ["cafe"],
        "mail": ["cafe"],
        "ann@example.com": ["cafe"],
        "example.com/a/b": ["cafe"],
        "ann": [],
        "A title": [],
    },
}


@pytest.mark.parametrize("searches", SEARCHES.values(), ids=SEARCHES)
async def test_a_search_finds_all_its_words_in_english_newest_first(
    client: httpx.AsyncClient, ids: dict[str, str], searches: dict[str, list[str]]
) -> None:
    assert {search: await found(client, ids, search=search) for search in searches} == searches


async def test_an_empty_search_is_none(client: httpx.AsyncClient, ids: dict[str, str]) -> None:
    assert await found(client, ids, search="") == list(ids)[::-1]


async def test_words_of_title_and_body_are_found_together(client: httpx.AsyncClient, ids: dict[str, str]) -> None:
    assert await found(client, ids, search="brown lazy") == ["foxes"]


async def test_the_last_word_of_the_title_and_the_first_of_the_body_are_two(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings
) -> None:
    post_id = await writings.post(await accounts.add("ann"), "black", "bird")

    assert [await found(client, {"x": post_id}, search=word) for word in ("black", "bird", "blackbird")] == [
        ["x"],
        ["x"],
        [],
    ]


async def test_a_search_may_go_the_other_way(client: httpx.AsyncClient, ids: dict[str, str]) -> None:
    assert await found(client, ids, search="fox", sort="created_at") == ["foxes", "geese"]


async def test_a_search_stays_with_the_author(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings
) -> None:
    ann, bob = await accounts.add("ann"), await accounts.add("bob")
    ids = {name: await writings.post(author, "Foxes") for name, author in (("ann", ann), ("bob", bob), ("ann2", ann))}
    await writings.post(ann, "Geese")

    assert await found(client, ids, search="fox", author_id=str(ann.id)) == ["ann2", "ann"]
    document = (await client.get(f"/api/users/{ann.id}/posts/?search=fox")).json()
    assert ([post["id"] for post in document["posts"]], document["total"]) == ([ids["ann2"], ids["ann"]], 2)
    walked = await walk(client, f"/api/users/{ann.id}/posts/", search="fox", per_page=1)
    assert [post["id"] for post in walked] == [ids["ann2"], ids["ann"]]
    assert (await client.get("/api/users/999/posts/?search=fox")).status_code == 404


@pytest.mark.parametrize("text", ["x" * 400, "\U00020000" * 240, "a-" * 200, "<" * 400, "' " * 200], ids=ascii)
async def test_a_search_may_have_400_characters(client: httpx.AsyncClient, text: str) -> None:
    assert (await client.get("/api/posts/", params={"search": text})).status_code == 200


async def test_a_search_of_over_400_characters_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/posts/", params={"search": "x" * 401})

    assert [fault["pointer"] for fault in assert_problem(answer, 400, "VALIDATION_ERROR")["errors"]] == ["?search"]


@pytest.mark.parametrize("search", ["%00", "fox%00", "%FF", "%ED%A0%80"])
async def test_a_search_that_is_no_text_is_malformed(client: httpx.AsyncClient, search: str) -> None:
    assert_problem(await client.get(f"/api/posts/?search={search}"), 400, "MALFORMED_REQUEST")

from __future__ import annotations

import itertools
import random
import unicodedata
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.accounts import Account, Accounts
from tests.support.problems import assert_problem
from tests.support.writings import walk


async def names(client: httpx.AsyncClient, caller: Account, **query: str) -> set[str]:
    """The names that a search finds; the total says how many they are."""
    answer = await client.get("/api/users/", params=query, headers=caller.headers)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["total"] == len(document["users"])
    return {user["username"] for user in document["users"]}


SEARCHES: dict[str, dict[str, set[str]]] = {
    "parts and beginnings": {
        "nna": {"Anna", "hannah"},
        "NNA": {"Anna", "hannah"},
        "hannah": {"hannah"},
        "hannahs": set(),
        "nah": {"hannah"},
        "n": set(),
        "nn": set(),
        "a": {"Anna", "a_b", "a.b-c"},
        "AN": {"Anna"},
    },
    "compatibility forms": {
        "\uff41\uff4e": {"Anna"},
        "\uff2e\uff2e\uff21": {"Anna", "hannah"},
        "\ufb01s": {"fisher", "kingfisher"},
        "king\ufb01sh": {"kingfisher"},
        "kingfisher": {"kingfisher"},
        "\u00c9MI": {"\u00e9mile"},
        "E\u0301M": {"\u00e9mile"},
        "\u00e9": {"\u00e9mile"},
        "e": set(),
        "J\u030cO": {"\u01f0o"},  # three characters as typed, two as compared: no trigram
        "J\u030c": {"\u01f0o"},
    },
    "plain signs": {
        "\u0416\u0423\u041a": {"\u0436\u0443\u043a"},
        "a_b": {"a_b"},
        "a%b": set(),
        "a.b": {"a.b-c"},
        "_": {"_under"},
        "__": set(),
        "%": set(),
        "%%%": set(),
        "___": set(),
        "\\": set(),
        "\\_u": set(),
        "'": set(),
        "' OR 1=1 --": set(),
        '"""': set(),
        ".*.": set(),
        " ": set(),
        " anna": set(),
        "\U0001f98a": set(),
        "\U0010ffff": set(),
        "remov": set(),
        "\ufdfa" * 80: set(),
    },
}


@pytest.mark.parametrize("searches", SEARCHES.values(), ids=SEARCHES)
async def test_a_search_finds_a_part_of_the_name_or_its_beginning(
    client: httpx.AsyncClient, accounts: Accounts, searches: dict[str, set[str]]
) -> None:
    caller = await accounts.signed_in("zzz")
    for name in (
        "Anna",
        "hannah",
        "fisher",
        "kingfisher",
        "\u00e9mile",
        "\u01f0o",
        "x\u01f0o",
        "\u0436\u0443\u043a",
        "a_b",
        "a.b-c",
        "_under",
    ):
        await accounts.add(name)

    assert {search: await names(client, caller, search=search) for search in searches} == searches


async def test_an_empty_search_is_none(client: httpx.AsyncClient, accounts: Accounts) -> None:
    caller = await accounts.signed_in("zzz")
    await accounts.add("ann")

    assert await names(client, caller, search="") == {"ann", "zzz"}


async def test_an_email_is_not_searched(client: httpx.AsyncClient, accounts: Accounts) -> None:
    root = await accounts.signed_in("root", role="admin")

    assert await names(client, root, search="example") == set()


async def test_a_search_may_have_320_characters(client: httpx.AsyncClient, accounts: Accounts) -> None:
    caller = await accounts.signed_in("x" * 80)

    assert await names(client, caller, search="X" * 80) == {"x" * 80}
    assert await names(client, caller, search="x" * 320) == set()
    answer = await client.get("/api/users/", params={"search": "x" * 321}, headers=caller.headers)
    assert [fault["pointer"] for fault in assert_problem(answer, 400, "VALIDATION_ERROR")["errors"]] == ["?search"]


@pytest.mark.parametrize("search", ["%00", "ab%00c", "%FF", "%ED%A0%80"])
async def test_a_search_that_is_no_text_is_malformed(
    client: httpx.AsyncClient, accounts: Accounts, search: str
) -> None:
    caller = await accounts.signed_in("ann")

    answer = await client.get(f"/api/users/?search={search}", headers=caller.headers)

    assert_problem(answer, 400, "MALFORMED_REQUEST")


async def test_what_follows_the_80th_character_of_a_folded_name_is_searched(
    client: httpx.AsyncClient, accounts: Accounts
) -> None:
    caller = await accounts.signed_in("zzz")
    name = "\ufdfa" * 10 + "tail"
    await accounts.add(name)

    for search in ("tail", "\ufdfatai", "\ufdfa" * 2, "\ufdfa" * 10, unicodedata.normalize("NFKC", "\ufdfa")):
        assert await names(client, caller, search=search) == {name}


def expected(rows: list[dict[str, Any]], search: str, is_active: str, sort: str) -> list[int]:
    """The ids that the contract's words lead to."""
    found = [
        row
        for row in rows
        if (row["name"].casefold().startswith(search) if len(search) < 3 else search in row["name"].casefold())
        and is_active in ("", str(row["is_active"]).lower())
    ]
    by_name = sort.endswith("username")
    found.sort(key=lambda row: (row["name"].casefold() if by_name else row["created_at"], row["id"]))
    return [row["id"] for row in (found[::-1] if sort.startswith("-") else found)]


@pytest.mark.parametrize("sort", ["username", "-username", "created_at", "-created_at"])
async def test_searches_filters_and_orders_go_together(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, sort: str
) -> None:
    dice = random.Random(4711)
    caller = await accounts.signed_in("zzz")
    pool = ["".join(letters) for letters in itertools.product("abAB", repeat=3)]
    drawn = {name.casefold(): name for name in dice.sample([a + b for a in pool for b in pool], 300)}
    await database.executemany(
        "INSERT INTO users (username, email, password_hash, is_active, created_at)"
        " VALUES ($1::text, $1::text || '@example.com', 'x', $2, timestamptz '2026-01-01' + $3 * interval '1 second')",
        [(name, dice.random() < 0.5, dice.randrange(5)) for name in drawn.values()],
    )
    rows = [dict(row) for row in await database.fetch("SELECT id, username AS name, is_active, created_at FROM users")]

    for search, is_active in itertools.product(["", "a", "ab", "aba", "bbab", "ababab", "zzz"], ["", "true", "false"]):
        query: dict[str, Any] = {"search": search} | ({"is_active": is_active} if is_active else {})
        wanted = expected(rows, search, is_active, sort)
        walked = await walk(client, "/api/users/", caller.headers, sort=sort, per_page=19, **query)
        assert [row["id"] for row in walked] == wanted
        asked = {name: str(value) for name, value in query.items()} | {"sort": sort, "page": "2", "per_page": "7"}
        page = (await client.get("/api/users/", params=asked, headers=caller.headers)).json()
        assert ([row["id"] for row in page["users"]], page["total"]) == (wanted[7:14], len(wanted))

"""Entity tags, and answers that are not sent twice (RFC 9110 §8.8.3, §13.1.2)."""

from __future__ import annotations

import re

import httpx
import pytest
from tests.support.accounts import Account, Accounts
from tests.support.problems import assert_problem
from tests.support.things import KINDS, Thing, Things

each = pytest.mark.parametrize("kind", KINDS)
STRONG = re.compile(r'"[\x21\x23-\x7e]{16,}"')


@pytest.fixture
async def ann(accounts: Accounts) -> Account:
    return await accounts.signed_in("ann")


async def get(client: httpx.AsyncClient, thing: Thing, method: str = "GET", **headers: str) -> httpx.Response:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.request(method, thing.path, headers={**thing.owner.headers, **headers})


@each
async def test_what_is_got_has_a_strong_tag(client: httpx.AsyncClient, things: Things, ann: Account, kind: str) -> None:
    answer = await get(client, await things.add(kind, ann))

    assert answer.status_code == 200
    assert STRONG.fullmatch(answer.headers["etag"])


@each
async def test_what_is_made_has_the_tag_that_it_is_got_with(
    client: httpx.AsyncClient, things: Things, accounts: Accounts, ann: Account, kind: str
) -> None:
    making = await things.making(kind, ann)
    made = await client.post(making.path, json=making.body(), headers=making.headers)
    reader = ann
    if kind == "user":
        entered = await client.post("/api/auth/login", json={"email": made.json()["email"], "password": "8 signs."})
        reader = Account(made.json()["id"], "", "", entered.json()["access_token"])

    got = await client.get(made.headers["location"], headers=reader.headers)

    assert made.status_code == 201
    assert got.headers["etag"] == made.headers["etag"]
    assert got.content == made.content


@each
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_what_is_changed_has_another_tag_which_it_is_got_with(
    client: httpx.AsyncClient, things: Things, ann: Account, kind: str, method: str
) -> None:
    thing = await things.add(kind, ann)
    before = (await get(client, thing)).headers["etag"]

    changed = await client.request(method, thing.path, json=thing.changes(), headers=ann.headers)

    got = await get(client, thing)
    assert changed.headers["etag"] == got.headers["etag"] != before
    assert changed.content == got.content


@each
async def test_what_has_not_changed_keeps_its_tag(
    client: httpx.AsyncClient, things: Things, ann: Account, kind: str
) -> None:
    thing = await things.add(kind, ann)

    assert (await get(client, thing)).headers["etag"] == (await get(client, thing)).headers["etag"]


@each
async def test_head_has_the_tag_of_get(client: httpx.AsyncClient, things: Things, ann: Account, kind: str) -> None:
    thing = await things.add(kind, ann)

    head, got = await get(client, thing, "HEAD"), await get(client, thing)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == got.headers["etag"]


async def test_an_account_has_one_tag_for_its_user_and_admins_and_another_for_strangers(
    client: httpx.AsyncClient, accounts: Accounts, ann: Account
) -> None:
    bob, root = await accounts.signed_in("bob"), await accounts.signed_in("root", role="admin")

    own, strangers, admins = [
        (await client.get(f"/api/users/{ann.id}", headers=reader.headers)).headers["etag"]
        for reader in (ann, bob, root)
    ]

    assert own == admins != strangers


async def test_a_strangers_tag_does_not_hide_the_own_view(
    client: httpx.AsyncClient, accounts: Accounts, ann: Account
) -> None:
    bob = await accounts.signed_in("bob")
    strangers = await client.get(f"/api/users/{ann.id}", headers=bob.headers)

    own = await client.get(f"/api/users/{ann.id}", headers={**ann.headers, "If-None-Match": strangers.headers["etag"]})

    assert own.status_code == 200
    assert own.json()["email"] == ann.email


@pytest.mark.parametrize("kind", ["post", "comment"])
async def test_an_author_who_changes_their_name_changes_the_tag_of_what_shows_it(
    client: httpx.AsyncClient, things: Things, ann: Account, kind: str
) -> None:
    thing = await things.add(kind, ann)
    before = (await get(client, thing)).headers["etag"]

    await client.patch(f"/api/users/{ann.id}", json={"username": "anne"}, headers=ann.headers)

    got = await get(client, thing, If_None_Match=before)
    assert (got.status_code, got.json()["author"]) == (200, "anne")


MATCHING = {
    "the tag": "{0}",
    "a list": '"other", {0}',
    "its weak form": "W/{0}",
    "a weak list": '"x",W/{0}',
    "any": "*",
}
OTHER = {"another": '"other"', "another weak": 'W/"other"', "the beginning": '"{1}"', "nothing": "", "commas": ",,,"}


@each
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_known_is_not_sent_again(
    client: httpx.AsyncClient, things: Things, ann: Account, kind: str, method: str
) -> None:
    thing = await things.add(kind, ann)
    first = await get(client, thing)
    for how, known in MATCHING.items():
        again = await get(client, thing, method, If_None_Match=known.format(first.headers["etag"]))

        assert (again.status_code, again.content) == (304, b""), how
        assert "content-type" not in again.headers
        for name in ("etag", "cache-control", "vary"):
            assert again.headers[name] == first.headers[name]


@each
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_not_known_is_sent(
    client: httpx.AsyncClient, things: Things, ann: Account, kind: str, method: str
) -> None:
    thing = await things.add(kind, ann)
    etag = (await get(client, thing)).headers["etag"]
    for how, known in OTHER.items():
        again = await get(client, thing, method, If_None_Match=known.format(etag, etag[1:9]))

        assert again.status_code == 200, how
        assert again.headers["etag"] == etag


@each
async def test_what_has_changed_is_sent_again(
    client: httpx.AsyncClient, things: Things, ann: Account, kind: str
) -> None:
    thing = await things.add(kind, ann)
    known = (await get(client, thing)).headers["etag"]
    await client.patch(thing.path, json=thing.changes(), headers=ann.headers)

    assert (await get(client, thing, If_None_Match=known)).status_code == 200


@each
async def test_what_is_gone_is_not_found_by_who_knows_it(
    client: httpx.AsyncClient, things: Things, accounts: Accounts, kind: str, ann: Account
) -> None:
    thing, root = await things.add(kind, ann), await accounts.signed_in("root", role="admin")
    known = (await get(client, thing)).headers["etag"]
    await client.delete(thing.path, headers=root.headers)

    for tag in (known, "*"):
        answer = await client.get(thing.path, headers={**root.headers, "If-None-Match": tag})
        assert_problem(answer, 404, "NOT_FOUND")


async def test_who_does_not_sign_in_learns_nothing_by_a_tag(
    client: httpx.AsyncClient, things: Things, ann: Account
) -> None:
    thing = await things.add("user", ann)

    answer = await client.get(thing.path, headers={"If-None-Match": "*"})

    assert_problem(answer, 401, "TOKEN_MISSING")
    assert "etag" not in answer.headers


async def test_a_write_is_not_answered_by_304(client: httpx.AsyncClient, things: Things, ann: Account) -> None:
    thing = await things.add("post", ann)
    known = (await get(client, thing)).headers["etag"]

    answer = await client.delete(thing.path, headers={**ann.headers, "If-None-Match": f"{known}x"})

    assert answer.status_code == 204


@pytest.mark.parametrize(
    "path", ["/api/users/", "/api/posts/", "/api/users/{user}/posts/", "/api/posts/{post}/comments/"]
)
async def test_lists_have_no_tag(client: httpx.AsyncClient, things: Things, ann: Account, path: str) -> None:
    path = path.format(user=ann.id, post=await things.post(ann, comments=2))

    answer = await client.get(path, headers={**ann.headers, "If-None-Match": "*"})

    assert answer.status_code == 200
    assert "etag" not in answer.headers


async def test_problems_have_no_tag(client: httpx.AsyncClient, ann: Account) -> None:
    assert "etag" not in (await client.get("/api/users/999", headers=ann.headers)).headers


@pytest.mark.parametrize("path", ["/openapi.json", "/swagger/"])
async def test_an_unchanged_page_keeps_its_headers(client: httpx.AsyncClient, path: str) -> None:
    """RFC 9111 section 3.2: a cache takes the fields of a 304 in the place of those that it has."""
    first = await client.get(path)

    again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})

    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    for name in ("cache-control", "content-security-policy", "etag"):
        assert again.headers[name] == first.headers[name]

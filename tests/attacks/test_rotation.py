"""Refresh tokens that come back: to either route that exchanges them, on two processes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import pytest
from service.embedded import Cluster
from tests.attacks.conftest import arena_of
from tests.support.accounts import PASSWORD, Account
from tests.support.attacks import Arena, Attack, attacking, with_pair
from tests.support.forgery import Forge, decoded
from tests.support.sockets import Answer

NEW_PASSWORD = "another horse battery"
FORM = "Content-Type: application/x-www-form-urlencoded"
Way = Callable[..., Answer]
"""Presents a refresh token: attack, token and, by keyword, the server."""


@pytest.fixture(scope="module")
def arena(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Two processes: what the one did, the other has to know."""
    with arena_of(cluster, "rotation", tmp_path_factory.mktemp("rotation"), servers=2) as arena:
        yield arena


@pytest.fixture
def attack(arena: Arena) -> Iterator[Attack]:
    with attacking(arena) as attack:
        yield attack


def refresh(attack: Attack, token: str, *, server: int = 0) -> Answer:
    return attack.call("POST", "/api/auth/refresh", token=token, server=server)


def grant(attack: Attack, token: str, *, server: int = 0) -> Answer:
    body = urlencode({"grant_type": "refresh_token", "refresh_token": token}).encode()
    return attack.request("POST", "/api/auth/token", FORM, body=body, server=server)


ways = pytest.mark.parametrize("way", [refresh, grant], ids=["refresh", "token"])
first_ways = pytest.mark.parametrize("first_way", [refresh, grant], ids=["refresh first", "token first"])
servers = pytest.mark.parametrize("server", [0, 1], ids=["the same process", "another process"])

TITLES = {
    "TOKEN_REUSED": "Refresh token has been used before",
    "TOKEN_REVOKED": "Token has been revoked",
    "TOKEN_EXPIRED": "Token has expired",
    "INVALID_TOKEN": "Invalid token",
    "WRONG_TOKEN_TYPE": "Wrong token type",
}


def assert_refused(answer: Answer, code: str) -> None:
    """Refused for this reason, in the form of the route that was asked."""
    document = answer.json()
    if answer.headers["content-type"] == "application/json":
        assert (answer.status, document) == (400, {"error": "invalid_grant", "error_description": TITLES[code]})
    else:
        assert (answer.status, document["code"], document["title"]) == (401, code, TITLES[code]), answer


def exchanged(attack: Attack, way: Way, account: Account, *, server: int = 0) -> Account:
    with attack.arranged():
        return with_pair(account, way(attack, account.refresh_token, server=server))


def assert_dead(attack: Attack, code: str, *accounts: Account) -> None:
    """No token of these does anything, on any process."""
    for server in range(2):
        for account in accounts:
            for method, target in [("GET", "/api/auth/me"), ("DELETE", "/api/auth/logout")]:
                assert_refused(attack.call(method, target, token=account.access_token, server=server), code)
            for way in (refresh, grant):
                assert_refused(way(attack, account.refresh_token, server=server), code)


def assert_alive(attack: Attack, account: Account) -> Account:
    """The tokens work, on any process."""
    for server in range(2):
        assert attack.call("GET", "/api/auth/me", token=account.access_token, server=server).status == 200
    return exchanged(attack, refresh, account, server=1)


def session_of(account: Account) -> uuid.UUID:
    return uuid.UUID(decoded(account.access_token.split(".")[1])["sid"])


def has_ended(attack: Attack, account: Account) -> bool:
    """Whether the database says so, in both places."""
    query = (
        "SELECT ended_at IS NOT NULL, EXISTS (SELECT FROM token_blocklist WHERE id = sessions.id)"
        " FROM sessions WHERE id = $1"
    )
    ((ended, blocked),) = attack.arena.database.fetch(query, session_of(account))
    assert ended == blocked
    return bool(ended)


def age(attack: Attack, account: Account, seconds: float) -> None:
    """Let the session's current pair be older."""
    query = "UPDATE sessions SET issued_at = issued_at - make_interval(secs => $2) WHERE id = $1"
    attack.sql(query, session_of(account), seconds)


# The parent


@first_ways
@ways
@servers
def test_the_parent_gets_the_same_pair_again(attack: Attack, first_way: Way, way: Way, server: int) -> None:
    ann = attack.signed_in()
    with attack.arranged():
        first = first_way(attack, ann.refresh_token)
    again = [way(attack, ann.refresh_token, server=server) for _ in range(3)]
    assert {answer.status for answer in [first, *again]} == {200}
    assert {answer.body for answer in again} == {again[0].body}
    assert again[0].json() == first.json()
    assert (again[0].body == first.body) or way is not first_way


@ways
def test_a_parent_that_came_back_in_time_costs_nobody_anything(attack: Attack, way: Way) -> None:
    ann = attack.signed_in()
    second = exchanged(attack, way, ann)
    way(attack, ann.refresh_token, server=1)
    assert_alive(attack, assert_alive(attack, second))
    assert not has_ended(attack, ann)


@ways
def test_a_successor_may_be_eight_seconds_old(attack: Attack, way: Way) -> None:
    ann = attack.signed_in()
    second = exchanged(attack, way, ann)
    age(attack, ann, 8)
    again = with_pair(ann, way(attack, ann.refresh_token, server=1))
    for kind in ("access_token", "refresh_token"):
        first, later = (decoded(getattr(pair, kind).split(".")[1]) for pair in (second, again))
        assert first["jti"] == later["jti"]
    assert not has_ended(attack, ann)


def test_no_refresh_takes_a_session_past_its_end(attack: Attack) -> None:
    ann = attack.signed_in()
    query = "UPDATE sessions SET ends_at = now() + interval '60 seconds' WHERE id = $1"
    attack.sql(query, session_of(ann))
    second = exchanged(attack, refresh, exchanged(attack, grant, ann))
    for token in (second.access_token, second.refresh_token):
        assert decoded(token.split(".")[1])["exp"] <= time.time() + 61


# Any other return


@ways
@servers
def test_a_grandparent_ends_the_session_and_that_is_committed(attack: Attack, way: Way, server: int) -> None:
    first = attack.signed_in()
    second = attack.refreshed(first)
    third = attack.refreshed(second)
    with attack.arranged():
        assert_refused(way(attack, first.refresh_token, server=server), "TOKEN_REUSED")
    assert has_ended(attack, first)
    assert_dead(attack, "TOKEN_REVOKED", first, second, third)


@first_ways
@ways
def test_a_token_is_exchanged_on_both_routes_together_once(attack: Attack, first_way: Way, way: Way) -> None:
    first = attack.signed_in()
    second = exchanged(attack, first_way, first)
    third = exchanged(attack, way, second, server=1)
    with attack.arranged():
        assert_refused(first_way(attack, first.refresh_token, server=1), "TOKEN_REUSED")
    assert_dead(attack, "TOKEN_REVOKED", first, second, third)


@ways
@servers
@pytest.mark.parametrize("seconds", [10.5, 3_600], ids=["10.5 s", "an hour"])
def test_a_parent_that_comes_back_late_ends_the_session(attack: Attack, way: Way, server: int, seconds: float) -> None:
    first = attack.signed_in()
    second = attack.refreshed(first)
    age(attack, first, seconds)
    with attack.arranged():
        assert_refused(way(attack, first.refresh_token, server=server), "TOKEN_REUSED")
    assert has_ended(attack, first)
    assert_dead(attack, "TOKEN_REVOKED", first, second)


@ways
def test_the_end_of_a_session_is_no_end_of_others(attack: Attack, way: Way) -> None:
    ann = attack.member()
    first, other, stranger = attack.log_in(ann), attack.log_in(ann), attack.signed_in()
    attack.refreshed(attack.refreshed(first))
    with attack.arranged():
        assert_refused(way(attack, first.refresh_token), "TOKEN_REUSED")
    assert_alive(attack, other)
    assert_alive(attack, stranger)


# What is over is over


@ways
def test_after_logout_no_refresh_token_is_more_than_revoked(attack: Attack, way: Way) -> None:
    first = attack.signed_in()
    second = attack.refreshed(first)
    third = attack.refreshed(second)
    with attack.arranged():
        assert attack.call("DELETE", "/api/auth/logout", token=first.access_token).status == 200
    for account in (first, second, third):
        assert_refused(way(attack, account.refresh_token, server=1), "TOKEN_REVOKED")
    assert_dead(attack, "TOKEN_REVOKED", second, third)


@ways
def test_a_refresh_token_from_before_a_change_of_password_ends_nothing(attack: Attack, way: Way) -> None:
    first = attack.signed_in()
    second = attack.refreshed(first)
    third = attack.refreshed(second)
    with attack.arranged():
        change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        new = with_pair(third, attack.call("POST", "/api/auth/password", change, third.access_token))
    for old in (first, second, third):
        for server in range(2):
            assert_refused(way(attack, old.refresh_token, server=server), "TOKEN_REVOKED")
    assert not has_ended(attack, new)
    later = assert_alive(attack, new)
    assert_dead(attack, "TOKEN_REVOKED", first, second, third)
    assert_alive(attack, later)


@ways
def test_a_disabled_users_refresh_tokens_are_invalid_and_enabling_restores_none(attack: Attack, way: Way) -> None:
    admin, first = attack.signed_in(role="admin"), attack.signed_in()
    second = attack.refreshed(first)
    third = attack.refreshed(second)
    for is_active, code in [(False, "INVALID_TOKEN"), (True, "TOKEN_REVOKED")]:
        with attack.arranged():
            change = {"is_active": is_active}
            assert attack.call("PATCH", f"/api/users/{first.id}", change, admin.access_token).status == 200
        for old in (first, second, third):
            for server in range(2):
                assert_refused(way(attack, old.refresh_token, server=server), code)
    assert has_ended(attack, first)


@ways
def test_a_token_that_comes_back_while_an_operator_keeps_its_user_out_ends_nothing(attack: Attack, way: Way) -> None:
    first = attack.signed_in()
    third = attack.refreshed(attack.refreshed(first))
    attack.sql("UPDATE users SET is_active = false WHERE id = $1", first.id)
    assert_refused(way(attack, first.refresh_token), "INVALID_TOKEN")
    attack.sql("UPDATE users SET is_active = true WHERE id = $1", first.id)
    assert_alive(attack, third)


@ways
def test_a_deleted_users_refresh_tokens_are_invalid(attack: Attack, way: Way) -> None:
    first = attack.signed_in()
    second = attack.refreshed(first)
    third = attack.refreshed(second)
    with attack.arranged():
        assert attack.call("DELETE", f"/api/users/{first.id}", token=third.access_token).status == 204
    for old in (first, second, third):
        for server in range(2):
            assert_refused(way(attack, old.refresh_token, server=server), "INVALID_TOKEN")


@ways
def test_the_refresh_token_of_a_session_whose_time_is_up_ends_nothing(attack: Attack, way: Way) -> None:
    ann = attack.signed_in()
    attack.sql("UPDATE sessions SET expires_at = now() WHERE id = $1", session_of(ann))
    assert_refused(way(attack, ann.refresh_token), "TOKEN_EXPIRED")


@ways
def test_the_refresh_token_of_a_session_that_was_purged_is_refused(attack: Attack, way: Way) -> None:
    ann = attack.signed_in()
    attack.sql("DELETE FROM sessions WHERE id = $1", session_of(ann))
    assert_refused(way(attack, ann.refresh_token), "INVALID_TOKEN")


# A stolen refresh token


@ways
def test_a_thief_who_is_first_is_out_when_the_owner_comes(attack: Attack, way: Way) -> None:
    owner = attack.signed_in()
    thief = exchanged(attack, way, owner)
    thief = exchanged(attack, way, thief, server=1)
    with attack.arranged():
        assert_refused(refresh(attack, owner.refresh_token), "TOKEN_REUSED")
    assert_dead(attack, "TOKEN_REVOKED", thief, owner)


@ways
@pytest.mark.parametrize("turns", [1, 2, 5])
def test_a_thief_who_is_last_gets_nothing(attack: Attack, way: Way, turns: int) -> None:
    stolen = owner = attack.signed_in()
    for turn in range(turns):
        owner = exchanged(attack, refresh, owner, server=turn % 2)
    if turns == 1:
        age(attack, owner, 11)
    with attack.arranged():
        assert_refused(way(attack, stolen.refresh_token), "TOKEN_REUSED")
    assert_dead(attack, "TOKEN_REVOKED", owner, stolen)


@ways
def test_thief_and_owner_do_not_go_on_side_by_side(attack: Attack, way: Way) -> None:
    """A thief in time shares the pair; there is one successor to it, too."""
    owner = attack.signed_in()
    stolen = exchanged(attack, refresh, owner)
    thief = with_pair(owner, way(attack, owner.refresh_token, server=1))
    assert thief.refresh_token == stolen.refresh_token
    thief = exchanged(attack, way, thief)
    age(attack, thief, 11)
    with attack.arranged():
        assert_refused(refresh(attack, stolen.refresh_token), "TOKEN_REUSED")
    assert_dead(attack, "TOKEN_REVOKED", owner, stolen, thief)


# What is no refresh token of this session


@ways
@servers
def test_an_access_token_is_not_exchanged(attack: Attack, way: Way, server: int) -> None:
    ann = attack.signed_in()
    assert_refused(way(attack, ann.access_token, server=server), "WRONG_TOKEN_TYPE")
    assert_refused(attack.call("GET", "/api/auth/me", token=ann.refresh_token, server=server), "WRONG_TOKEN_TYPE")


@pytest.mark.parametrize("place", ["query", "body", "cookie", "own header", "another scheme"])
def test_a_refresh_token_elsewhere_is_not_looked_at(attack: Attack, place: str) -> None:
    token = attack.signed_in().refresh_token
    attack.keeps_secret(token)
    lines = {
        "cookie": [f"Cookie: refresh_token={token}"],
        "own header": [f"X-Refresh-Token: {token}"],
        "another scheme": [f"Authorization: Refresh {token}"],
        "body": [FORM],
    }.get(place, [])
    target = f"/api/auth/refresh?refresh_token={token}" if place == "query" else "/api/auth/refresh"
    answer = attack.request("POST", target, *lines, body=f"refresh_token={token}".encode() if place == "body" else None)
    assert answer.status in (400, 401)
    assert b'"access_token"' not in answer.body


@ways
def test_the_own_token_of_another_users_session_is_none_even_with_the_key(attack: Attack, way: Way) -> None:
    ann, bob = attack.signed_in(), attack.signed_in()
    own, others = (decoded(account.refresh_token.split(".")[1]) for account in (ann, bob))
    forge = Forge(ann.refresh_token, ann.access_token, bob.refresh_token)
    assert_refused(way(attack, forge.with_claims(sid=others["sid"], jti=own["jti"])), "INVALID_TOKEN")
    assert_alive(attack, ann)
    assert_alive(attack, bob)


@ways
def test_two_sessions_of_one_user_do_not_share_their_tokens_even_with_the_key(attack: Attack, way: Way) -> None:
    ann = attack.member()
    first, second = attack.log_in(ann), attack.log_in(ann)
    forge = Forge(first.refresh_token, first.access_token, second.refresh_token)
    token = forge.with_claims(
        jti=decoded(first.refresh_token.split(".")[1])["jti"], sid=decoded(second.refresh_token.split(".")[1])["sid"]
    )
    with attack.arranged():
        assert_refused(way(attack, token), "TOKEN_REUSED")
    assert_dead(attack, "TOKEN_REVOKED", second)
    assert_alive(attack, first)


@ways
def test_the_claims_of_another_session_under_the_own_signature_are_refused(attack: Attack, way: Way) -> None:
    ann, bob = attack.signed_in(), attack.signed_in()
    header, _, signature = ann.refresh_token.split(".")
    token = f"{header}.{bob.refresh_token.split('.')[1]}.{signature}"
    assert_refused(way(attack, token), "INVALID_TOKEN")
    assert_alive(attack, ann)
    assert_alive(attack, bob)


@ways
@pytest.mark.parametrize("exchanged_before", [False, True], ids=["current", "parent"])
def test_a_token_that_names_another_user_than_its_session_is_none_even_with_the_key(
    attack: Attack, way: Way, exchanged_before: bool
) -> None:
    ann, bob = attack.signed_in(), attack.signed_in()
    if exchanged_before:
        attack.refreshed(bob)
    forge = Forge(bob.refresh_token, bob.access_token, ann.refresh_token)
    token = forge.with_claims(sub=str(ann.id), jti=decoded(bob.refresh_token.split(".")[1])["jti"])
    assert_refused(way(attack, token), "INVALID_TOKEN")

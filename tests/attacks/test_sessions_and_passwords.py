"""Sessions of others and one's own, and what a change of the password leaves alive of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from tests.support.accounts import PASSWORD, Account
from tests.support.attacks import Arena, Attack, attacking, with_pair
from tests.support.forgery import Route, decoded, guarded_routes
from tests.support.sockets import Answer

SESSIONS = "/api/auth/sessions"
NEW_PASSWORD = "another horse battery"
ROUTES = guarded_routes()


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json()["code"]) == (status, code), answer


def assert_invalid(answer: Answer, *pointers: str) -> None:
    assert_refused(answer, 400, "VALIDATION_ERROR")
    assert [fault["pointer"] for fault in answer.json()["errors"]] == list(pointers), answer


def session_of(account: Account) -> str:
    return str(decoded(account.access_token.split(".")[1])["sid"])


def listed(attack: Attack, account: Account) -> list[dict[str, Any]]:
    answer = attack.call("GET", SESSIONS, token=account.access_token)
    assert answer.status == 200, answer
    sessions: list[dict[str, Any]] = answer.json()["sessions"]
    return sessions


def change(attack: Attack, account: Account, current: Any = PASSWORD, new: Any = NEW_PASSWORD) -> Answer:
    document = {"current_password": current, "new_password": new}
    return attack.call("POST", "/api/auth/password", document, account.access_token)


def changed(attack: Attack, account: Account, current: str = PASSWORD, new: str = NEW_PASSWORD) -> Account:
    with attack.arranged():
        return with_pair(account, change(attack, account, current, new))


def wide(text: str) -> str:
    """The same in full-width forms."""
    return "".join(chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character for character in text)


@pytest.fixture(scope="module")
def somebody(arena: Arena) -> Account:
    """An account whose names have letters enough to be a password; these cases leave it as it is."""
    with attacking(arena) as attack:
        account = attack.signed_in()
        query = "UPDATE users SET username = 'Somebody.Else', email = 'somebody@example.com' WHERE id = $1"
        attack.sql(query, account.id)
    return account


# Sessions of others


@pytest.mark.parametrize("role", ["user", "admin"])
def test_only_ones_own_sessions_are_listed(attack: Attack, role: str) -> None:
    ann, bob = attack.signed_in(role=role), attack.signed_in()
    (shown,) = listed(attack, ann)
    assert shown["id"] == session_of(ann) != session_of(bob)


@pytest.mark.parametrize("name", ["user_id", "sub", "all", "page", "access_token"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_query_makes_sessions_no_others(attack: Attack, somebody: Account, method: str, name: str) -> None:
    answer = attack.call(method, f"{SESSIONS}?{name}={attack.arena.witness.id}", token=somebody.access_token)
    assert_invalid(answer, f"?{name}")


@pytest.mark.parametrize("role", ["user", "admin"])
def test_nobody_ends_anothers_session_nor_learns_of_it(attack: Attack, role: str) -> None:
    ann, bob = attack.signed_in(role=role), attack.signed_in()
    documents = []
    for session in (session_of(bob), str(uuid.uuid4())):
        answer = attack.call("DELETE", f"{SESSIONS}/{session}", token=ann.access_token)
        assert_refused(answer, 404, "NOT_FOUND")
        documents.append(answer.json() | {"request_id": ""})
    assert documents[0] == documents[1]
    assert attack.call("GET", "/api/auth/me", token=bob.access_token).status == 200


def test_ending_all_sessions_ends_no_others(attack: Attack) -> None:
    ann, bob = attack.signed_in(), attack.signed_in()
    with attack.arranged():
        assert attack.call("DELETE", SESSIONS, token=ann.access_token).status == 204
    assert_refused(attack.call("GET", "/api/auth/me", token=ann.access_token), 401, "TOKEN_REVOKED")
    assert attack.call("GET", "/api/auth/me", token=bob.access_token).status == 200
    attack.refreshed(bob)


IDS: dict[str, Callable[[str], str]] = {
    "no dashes": lambda session: session.replace("-", ""),
    "braces": lambda session: quote("{" + session + "}"),
    "urn": lambda session: f"urn:uuid:{session}",
    "cut": lambda session: session[:-1],
    "longer": lambda session: session + "0",
    "a blank before": lambda session: "%20" + session,
    "a blank behind": lambda session: session + "%20",
    "a newline": lambda session: session + "%0a",
    "NUL": lambda session: session + "%00",
    "FF": lambda session: session + "%ff",
    "full-width": lambda session: quote(wide(session)),
    "all": lambda session: "*",
    "percent": lambda session: "%25",
    "current": lambda session: "current",
    "a number": lambda session: "1",
    "minus one": lambda session: "-1",
    "SQL": lambda session: quote(f"{session}' OR '1'='1"),
    "two": lambda session: f"{session},{session}",
    "a path": lambda session: f"{session}/{session}",
    "up": lambda session: f"x/../{session}",
    "escaped slash": lambda session: f"x%2f..%2f{session}",
    "zeros": lambda session: str(uuid.UUID(int=0)),
    "ones": lambda session: str(uuid.UUID(int=2**128 - 1)),
    "long": lambda session: "a" * 3_000,
}


@pytest.mark.parametrize("malformed", IDS.values(), ids=IDS.keys())
def test_what_is_no_id_of_a_session_ends_none(
    attack: Attack, somebody: Account, malformed: Callable[[str], str]
) -> None:
    target = f"{SESSIONS}/{malformed(session_of(somebody))}"
    answer = attack.call("DELETE", target, token=somebody.access_token)
    assert answer.status in (400, 404), answer


@pytest.mark.parametrize("how", ["by its id", "by logout", "by time", "with all", "by a password", "by its return"])
def test_a_session_that_is_over_is_not_ended_again(attack: Attack, how: str) -> None:
    ann = attack.member()
    other, over = attack.log_in(ann), attack.log_in(ann)
    target = f"{SESSIONS}/{session_of(over)}"
    if how == "by its id":
        with attack.arranged():
            assert attack.call("DELETE", target, token=other.access_token).status == 204
    elif how == "by logout":
        with attack.arranged():
            assert attack.call("DELETE", "/api/auth/logout", token=over.access_token).status == 200
    elif how == "by time":
        attack.sql("UPDATE sessions SET expires_at = now() WHERE id = $1", uuid.UUID(session_of(over)))
    elif how == "with all":
        with attack.arranged():
            assert attack.call("DELETE", SESSIONS + "/", token=over.access_token).status == 204
        other = attack.log_in(ann)
    elif how == "by a password":
        other = changed(attack, other)
    else:
        attack.refreshed(attack.refreshed(over))
        with attack.arranged():
            assert attack.call("POST", "/api/auth/refresh", token=over.refresh_token).status == 401
    assert_refused(attack.call("DELETE", target, token=other.access_token), 404, "NOT_FOUND")
    assert [session["id"] for session in listed(attack, other)] == [session_of(other)]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST", "MERGE"])
@pytest.mark.parametrize("target", [SESSIONS, SESSIONS + "/", SESSIONS + "/{}"], ids=["all", "all, slash", "one"])
def test_nothing_of_a_session_is_changed_by_other_methods(
    attack: Attack, somebody: Account, method: str, target: str
) -> None:
    change = {"user_id": 1, "ended_at": None, "expires_at": "2099-01-01T00:00:00Z"}
    answer = attack.call(method, target.format(session_of(somebody)), change, somebody.access_token)
    assert_refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert "DELETE" in answer.headers["allow"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_a_password_is_changed_by_one_method(attack: Attack, somebody: Account, method: str) -> None:
    document = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    answer = attack.call(method, "/api/auth/password", document, somebody.access_token)
    assert (answer.status, "POST" in answer.headers["allow"]) == (405, True)


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_no_header_makes_another_method_of_one(attack: Attack, header: str) -> None:
    ann = attack.signed_in()
    answer = attack.request("GET", SESSIONS, f"Authorization: Bearer {ann.access_token}", f"{header}: DELETE")
    assert len(answer.json()["sessions"]) == 1


@pytest.mark.parametrize(
    "agent",
    [
        "<script>alert(1)</script>",
        "'); DROP TABLE sessions; --",
        '"}], "current": true, "x": [{"',
        "\xff\xfe\xe9",
        "%00%0d%0a",
        "{{7*7}} ${jndi:ldap://x}",
        "x" * 10_000,
    ],
    ids=lambda agent: ascii(agent)[:20],
)
def test_what_a_client_calls_itself_is_only_shown(attack: Attack, agent: str) -> None:
    ann = attack.signed_in()
    lies = [f"{name}: 203.0.113.9" for name in ("X-Forwarded-For", "X-Real-IP", "Client-IP", "True-Client-IP")]
    lies.append("Forwarded: for=203.0.113.9")
    with attack.arranged():
        line = f"Authorization: Bearer {ann.refresh_token}"
        pair = with_pair(ann, attack.request("POST", "/api/auth/refresh", line, f"User-Agent: {agent}", *lies))
    (shown,) = listed(attack, pair)
    assert shown.keys() == {"id", "created_at", "last_used_at", "expires_at", "ip", "user_agent", "current"}
    assert len(shown["user_agent"]) <= 256
    assert agent.startswith(shown["user_agent"]) or not agent.isascii()
    assert (shown["ip"], shown["current"]) == ("127.0.0.1", True)


# Changing a password


@pytest.mark.parametrize(
    "current",
    [
        "certainly not this",
        PASSWORD.upper(),
        PASSWORD + " ",
        " " + PASSWORD,
        PASSWORD[:-1],
        wide(PASSWORD),
        PASSWORD.replace(" ", "\u00a0"),
        NEW_PASSWORD,
        "' OR '1'='1",
        "$argon2id$v=19$m=8,t=1,p=1$",
        "x",
        "x" * 500_000,
    ],
    ids=lambda current: ascii(current)[:20],
)
def test_a_wrong_current_password_leaves_every_row_as_it_was(attack: Attack, somebody: Account, current: str) -> None:
    assert_invalid(change(attack, somebody, current=current), "/current_password")
    assert attack.call("GET", "/api/auth/me", token=somebody.access_token).status == 200


WEAK = {
    "empty": "",
    "7 characters": "7 signs",
    "129 characters": "x" * 129,
    "7 letters of two code units": "\U0001f511" * 7,
    "common": "password1",
    "common, upper case": "PASSWORD1",
    "common, mixed": "PassWord1",
    "common, full-width": wide("password1"),
    "common, full-width and upper case": wide("PASSWORD1"),
    "common, blanks around": "  password1\t",
    "common, no-break blanks around": "\u00a0password1\u00a0",
    "common, mathematical letters": "\U0001d429\U0001d41a\U0001d42c\U0001d42c\U0001d430\U0001d428\U0001d42b\U0001d41d1",
    "common, superscript digit": "password\u00b9",
    "common, long s": "pa\u017f\u017fword1",
    "username": "Somebody.Else",
    "username, lower case": "somebody.else",
    "username, upper case": "SOMEBODY.ELSE",
    "username, full-width": wide("Somebody.Else"),
    "username, blanks around": " Somebody.Else ",
    "username, sharp s": "\u017fomebody.Else",
    "email": "Somebody@Example.com",
    "email, upper case": "SOMEBODY@EXAMPLE.COM",
    "email, full-width": wide("somebody@example.com"),
    "email, small at": "somebody\ufe6bexample.com",
}


@pytest.mark.parametrize("new", WEAK.values(), ids=WEAK.keys())
def test_a_password_that_is_easily_guessed_is_not_set(attack: Attack, somebody: Account, new: str) -> None:
    if new:
        attack.keeps_secret(new)
    answer = change(attack, somebody, new=new)
    assert_invalid(answer, "/new_password")
    assert len(new) < 8 or new not in answer.body.decode()


@pytest.mark.parametrize("member", ["current_password", "new_password"])
@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "VALIDATION_ERROR"),
        (12_345_678, "VALIDATION_ERROR"),
        (True, "VALIDATION_ERROR"),
        ([PASSWORD], "VALIDATION_ERROR"),
        ({"$ne": ""}, "VALIDATION_ERROR"),
        (PASSWORD + "\0", "VALIDATION_ERROR"),
        (PASSWORD + "\ud800", "MALFORMED_REQUEST"),
    ],
    ids=["null", "a number", "true", "a list", "an object", "NUL", "a lone surrogate"],
)
def test_a_password_of_no_text_is_refused(
    attack: Attack, somebody: Account, member: str, value: Any, code: str
) -> None:
    document = {"current_password": PASSWORD, "new_password": NEW_PASSWORD} | {member: value}
    answer = attack.call("POST", "/api/auth/password", document, somebody.access_token)
    assert_refused(answer, 400, code)


@pytest.mark.parametrize("name", ["user_id", "id", "username", "email", "role", "password", "sid", "all_sessions"])
def test_a_change_says_nothing_of_whose_password_it_is(attack: Attack, somebody: Account, name: str) -> None:
    document = {"current_password": PASSWORD, "new_password": NEW_PASSWORD, name: "1"}
    answer = attack.call("POST", "/api/auth/password", document, somebody.access_token)
    assert_invalid(answer, f"/{name}")


# What is left of the sessions


@pytest.fixture(scope="module")
def left(arena: Arena) -> dict[str, Account]:
    """An admin's pairs from before a change of the password: four of its session, and those of another one."""
    with attacking(arena) as attack:
        admin = attack.member(role="admin")
        other, first = attack.log_in(admin), attack.log_in(admin)
        second = attack.refreshed(first)
        between = changed(attack, second)
        changed(attack, between, NEW_PASSWORD, "a third horse battery")
    return {"first": first, "second": second, "of another session": other, "between two changes": between}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.rule}")
def test_no_token_from_before_a_change_does_anything_on_any_route(
    attack: Attack, left: dict[str, Account], route: Route
) -> None:
    for account in left.values():
        token = account.refresh_token if route.takes_refresh_token else account.access_token
        answer = attack.call(route.method, route.target(account.id), route.body, token)
        assert_refused(answer, 401, "TOKEN_REVOKED")


def test_the_new_pair_is_good_and_the_one_session_there_is(attack: Attack) -> None:
    ann = attack.member()
    others, own = [attack.log_in(ann) for _ in range(3)], attack.log_in(ann)
    new = changed(attack, own)
    assert session_of(new) == session_of(own)
    (shown,) = listed(attack, new)
    assert (shown["id"], shown["current"]) == (session_of(new), True)
    for other in others:
        assert_refused(attack.call("GET", "/api/auth/me", token=other.access_token), 401, "TOKEN_REVOKED")
        assert_refused(attack.call("POST", "/api/auth/refresh", token=other.refresh_token), 401, "TOKEN_REVOKED")
    later = attack.refreshed(attack.refreshed(new))
    for token in (new.access_token, later.access_token):
        assert attack.call("GET", "/api/auth/me", token=token).status == 200


def test_the_old_password_opens_nothing_any_more(attack: Attack) -> None:
    ann = attack.signed_in()
    changed(attack, ann)
    login = {"email": ann.email, "password": PASSWORD}
    assert_refused(attack.call("POST", "/api/auth/login", login), 401, "INVALID_CREDENTIALS")
    with attack.arranged():
        assert attack.call("POST", "/api/auth/login", login | {"password": NEW_PASSWORD}).status == 200


def test_a_change_without_the_password_is_no_way_to_keep_a_stolen_session(attack: Attack) -> None:
    """The owner changes the password; whoever shares the session is out, also with the pair they refreshed last."""
    owner = attack.signed_in()
    thief = attack.refreshed(owner)
    assert_invalid(change(attack, thief, current="not known to a thief"), "/current_password")
    new = changed(attack, owner)
    for token in (thief.access_token, owner.access_token):
        assert_refused(attack.call("GET", "/api/auth/me", token=token), 401, "TOKEN_REVOKED")
    for token in (thief.refresh_token, owner.refresh_token):
        assert_refused(attack.call("POST", "/api/auth/refresh", token=token), 401, "TOKEN_REVOKED")
    attack.refreshed(new)

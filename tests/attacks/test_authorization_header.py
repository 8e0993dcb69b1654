"""Where a token may stand, and what the `Authorization` header may look like."""

from __future__ import annotations

import base64
import urllib.parse

import pytest
from tests.support.accounts import PASSWORD, Account
from tests.support.attacks import Arena, Attack, attacking

BASIC = base64.b64encode(f"witness@example.com:{PASSWORD}".encode()).decode()


@pytest.fixture(scope="module")
def ann(arena: Arena) -> Account:
    with attacking(arena) as attack:
        return attack.signed_in()


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer \t ",
        "{token}",
        "Basic {token}",
        f"Basic {BASIC}",
        "Digest {token}",
        "Token {token}",
        "JWT {token}",
        "Bearers {token}",
        "Bearer:{token}",
        "Bearer={token}",
        "Bearer,{token}",
        "Bearer\t{token}",
        "Bearer\u00a0{token}",
        "Bearer{token}",
        '"Bearer" {token}',
        "Basic x, Bearer {token}",
        "Negotiate Bearer {token}",
        "Be\u00e4rer {token}",
    ],
    ids=[
        "empty",
        "no token",
        "a space",
        "blanks",
        "no scheme",
        "Basic and a token",
        "Basic",
        "Digest",
        "Token",
        "JWT",
        "Bearers",
        "a colon",
        "an equals sign",
        "a comma",
        "a tab",
        "a no-break space",
        "nothing between",
        "scheme in quotes",
        "a list",
        "two schemes",
        "not ASCII",
    ],
)
def test_another_scheme_is_no_token(attack: Attack, ann: Account, value: str) -> None:
    answer = attack.request("GET", "/api/auth/me", f"Authorization: {value.format(token=ann.access_token)}")
    assert (answer.status, answer.json()["code"]) == (401, "TOKEN_MISSING")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "value",
    [
        "Bearer {token}, Bearer {token}",
        "Bearer {token},",
        "Bearer {token} {token}",
        "Bearer {token};",
        "Bearer Bearer {token}",
        "Bearer token={token}",
        "Bearer <{token}>",
        "Bearer \u00e4\u00f6\u00fc",
        "Bearer \u00ff.\u00ff.\u00ff",
        "Bearer {token}\u00a0",
        "Bearer " + "a" * 5000,
        "Bearer " + ".".join(["a" * 2000] * 3),
        "Bearer ' OR '1'='1",
        "Bearer %00",
        "Bearer {{{{}}}}",
    ],
    ids=[
        "two in a list",
        "a comma behind",
        "twice",
        "a semicolon",
        "the scheme twice",
        "a parameter",
        "in brackets",
        "not ASCII",
        "segments not ASCII",
        "a no-break space behind",
        "5 KB",
        "6 KB in segments",
        "SQL",
        "an escaped NUL",
        "braces",
    ],
)
def test_what_is_no_token_is_invalid(attack: Attack, ann: Account, value: str) -> None:
    answer = attack.request("GET", "/api/auth/me", f"Authorization: {value.format(token=ann.access_token)}")
    assert (answer.status, answer.json()["code"]) == (401, "INVALID_TOKEN")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_may_be_in_any_case(attack: Attack, ann: Account, scheme: str) -> None:
    answer = attack.request("GET", "/api/auth/me", f"Authorization: {scheme} {ann.access_token}")
    assert (answer.status, answer.json()["id"]) == (200, ann.id)


@pytest.mark.parametrize(
    "lines",
    [
        ["Authorization: Bearer {token}", "Authorization: Bearer {token}"],
        ["Authorization: Bearer {token}", "authorization: Basic x"],
        ["Authorization: Bearer nobody", "X: y", "AUTHORIZATION: Bearer {token}"],
        ["Authorization:", "Authorization: Bearer {token}"],
    ],
    ids=["the same twice", "another scheme", "far apart", "one empty"],
)
def test_two_headers_are_malformed(attack: Attack, ann: Account, lines: list[str]) -> None:
    answer = attack.request("GET", "/api/auth/me", *[line.format(token=ann.access_token) for line in lines])
    assert (answer.status, answer.json()["code"]) == (400, "MALFORMED_REQUEST")


@pytest.mark.parametrize("value", ["Bearer a\0b", "Bearer \0"], ids=["inside", "alone"])
def test_a_nul_in_the_header_is_malformed(attack: Attack, value: str) -> None:
    answer = attack.request("GET", "/api/auth/me", f"Authorization: {value}")
    assert (answer.status, answer.json()["code"]) == (400, "MALFORMED_REQUEST")


@pytest.mark.parametrize("control", ["\x01", "\x08", "\x1b[31m", "\x7f", "\x0b", "\x85"])
def test_a_control_character_never_makes_a_token(attack: Attack, ann: Account, control: str) -> None:
    answer = attack.request("GET", "/api/auth/me", f"Authorization: Bearer {control}{ann.access_token}")
    assert (answer.status, answer.json()["code"]) in [(400, "MALFORMED_REQUEST"), (401, "INVALID_TOKEN")]


@pytest.mark.parametrize(
    "line",
    [
        "Cookie: access_token={token}; Authorization=Bearer {token}; session={token}; token={token}",
        "X-Authorization: Bearer {token}",
        "Proxy-Authorization: Bearer {token}",
        "X-Access-Token: {token}",
        "X-Forwarded-Authorization: Bearer {token}",
        "HTTP_AUTHORIZATION: Bearer {token}",
        "REMOTE_USER: witness",
        "X-Remote-User: witness",
        "X-Forwarded-User: witness",
        "Sec-WebSocket-Protocol: bearer, {token}",
    ],
    ids=lambda line: line.partition(":")[0],
)
def test_a_token_in_another_header_is_not_looked_at(attack: Attack, ann: Account, line: str) -> None:
    attack.keeps_secret(ann.access_token)
    answer = attack.request("GET", "/api/auth/me", line.format(token=ann.access_token))
    assert (answer.status, answer.json()["code"]) == (401, "TOKEN_MISSING")


@pytest.mark.parametrize("name", ["access_token", "token", "Authorization", "jwt", "bearer"])
def test_a_token_in_the_query_is_not_looked_at(attack: Attack, ann: Account, name: str) -> None:
    attack.keeps_secret(ann.access_token)
    answer = attack.request("GET", f"/api/auth/me?{name}={ann.access_token}")
    assert (answer.status, answer.json()["code"]) == (401, "TOKEN_MISSING")


def test_a_token_in_a_form_is_not_looked_at(attack: Attack, ann: Account) -> None:
    attack.keeps_secret(ann.access_token)
    form = urllib.parse.urlencode({"access_token": ann.access_token}).encode()
    answer = attack.request("DELETE", "/api/auth/logout", "Content-Type: application/x-www-form-urlencoded", body=form)
    assert (answer.status, answer.json()["code"]) == (401, "TOKEN_MISSING")


def test_a_token_in_a_json_body_is_not_looked_at(attack: Attack, ann: Account) -> None:
    answer = attack.call("PATCH", f"/api/users/{ann.id}", {"username": "taken.over", "access_token": ann.access_token})
    assert (answer.status, answer.json()["code"]) == (401, "TOKEN_MISSING")


def test_a_token_in_a_trailer_is_not_looked_at(attack: Attack, ann: Account) -> None:
    """RFC 9110 §6.5.1: what authenticates a request must not stand behind its body."""
    connection = attack.connect()
    connection.send(b"DELETE /api/auth/logout HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.send(f"0\r\nAuthorization: Bearer {ann.access_token}\r\n\r\n".encode())
    answer = connection.answer()
    assert (answer.status, answer.json()["code"]) == (401, "TOKEN_MISSING")


def test_a_token_is_not_remembered_by_the_connection(attack: Attack, ann: Account) -> None:
    connection = attack.connect()
    assert connection.call("GET", "/api/auth/me", token=ann.access_token).status == 200
    answer = connection.call("GET", "/api/auth/me")
    assert (answer.status, answer.json()["code"]) == (401, "TOKEN_MISSING")


def test_pipelined_requests_each_have_their_own_caller(attack: Attack, ann: Account, arena: Arena) -> None:
    connection = attack.connect()
    tokens = [ann.access_token, arena.witness.access_token, "", "nobody's"] * 3
    for token in tokens:
        line = f"Authorization: Bearer {token}\r\n" if token else ""
        connection.send(f"GET /api/auth/me HTTP/1.1\r\nHost: a\r\n{line}\r\n".encode())
    answers = [connection.answer() for _ in tokens]
    assert [answer.json().get("id", answer.status) for answer in answers] == [ann.id, arena.witness.id, 401, 401] * 3


def test_a_name_folded_onto_a_second_line_makes_no_second_token(attack: Attack, ann: Account) -> None:
    answer = attack.request("GET", "/api/auth/me", "Authorization: Bearer nobody", f" {ann.access_token}")
    assert answer.status in (400, 401)

"""The harness itself can fail: each of its checks is shown what it is there to find."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from service.embedded import Cluster
from tests.support.attacks import SECURITY, Arena, Attack, Database, Seen, attacking, changes, check_answer, check_log
from tests.support.sockets import Answer

ID = "0123456789abcdef"
PROBLEM = {
    "type": "/problems/not-found",
    "title": "Not found",
    "status": 404,
    "code": "NOT_FOUND",
    "error": "Not found",
    "request_id": ID,
}
LIMITED = PROBLEM | {"type": "/problems/rate-limited", "status": 429, "code": "RATE_LIMITED"}
HEADERS = SECURITY | {"x-request-id": ID, "content-type": "application/problem+json"}


def refusal(
    document: dict[str, Any], status: int = 404, target: str = "/", headers: dict[str, str] | None = None
) -> Seen:
    return Seen("GET", target, Answer(status, HEADERS | (headers or {}), json.dumps(document).encode()))


def line(**members: Any) -> str:
    said = {"level": "info", "logger": "postern.access", "message": "request", "request_id": ID, "status": 200}
    return json.dumps(said | members) + "\n"


def fails(arena: Arena, what: Callable[[Attack], object], match: str) -> None:
    with pytest.raises(AssertionError, match=match), attacking(arena) as attack:
        what(attack)


# Answers


@pytest.mark.parametrize(
    "seen",
    [
        refusal(PROBLEM),
        refusal({"error": "invalid_grant"}, 400, "/api/auth/token", headers={"content-type": "application/json"}),
        refusal(LIMITED, 429, headers={"retry-after": "7"}),
    ],
    ids=["a problem", "of OAuth", "a limit"],
)
def test_a_refusal_of_the_contract_passes(seen: Seen) -> None:
    check_answer(seen)


@pytest.mark.parametrize(
    "seen",
    [
        refusal(PROBLEM | {"status": 500, "code": "INTERNAL_ERROR", "type": "/problems/internal-error"}, 500),
        refusal(PROBLEM | {"code": "FORBIDDEN", "type": "/problems/forbidden"}),
        refusal(PROBLEM | {"code": "NEW_CODE", "type": "/problems/new-code"}),
        refusal(PROBLEM | {"status": 400}),
        refusal(PROBLEM | {"type": "about:blank"}),
        refusal(PROBLEM | {"error": "Gone"}),
        refusal(PROBLEM | {"request_id": "another-one"}),
        refusal(PROBLEM | {"errors": []}),
        refusal(PROBLEM, headers={"content-type": "application/json"}),
        refusal(PROBLEM, headers={"x-request-id": ""}),
        refusal(PROBLEM, headers={"x-frame-options": "SAMEORIGIN"}),
        refusal(PROBLEM, headers={"server": "hypercorn-h11"}),
        refusal(PROBLEM | {"status": 401, "code": "INVALID_TOKEN", "type": "/problems/invalid-token"}, 401),
        refusal({"error": "invalid_grant"}, 400, "/api/auth/login", headers={"content-type": "application/json"}),
        refusal({"error": "whatever"}, 400, "/api/auth/token", headers={"content-type": "application/json"}),
        refusal(LIMITED, 429),
    ],
    ids=[
        "500",
        "a code of another status",
        "an unknown code",
        "another status inside",
        "another type",
        "two titles",
        "another request id",
        "errors of another code",
        "no problem document",
        "no request id",
        "a security header of another value",
        "Server",
        "401 without a challenge",
        "OAuth's answer elsewhere",
        "OAuth's answer with another error",
        "429 without a time to come again",
    ],
)
def test_any_other_answer_fails(seen: Seen) -> None:
    with pytest.raises((AssertionError, KeyError)):
        check_answer(seen)


def test_a_500_among_the_answers_of_a_case_fails_it(arena: Arena) -> None:
    def meets_a_fault(attack: Attack) -> None:
        answer = attack.request("GET", "/nowhere")
        attack.seen[-1] = Seen("GET", "/nowhere", replace(answer, status=500))

    fails(arena, meets_a_fault, "status=500")


# Log lines


def test_one_line_for_each_request_passes() -> None:
    check_log(line() + line(logger="postern", message="unrelated"), [ID], secrets=["hunter2"])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", 0),
        (line() + line(), 0),
        (line() + line(request_id="another-one"), 0),
        (line(), 1),
        (line() + line(request_id="another-one", status=200), 1),
        (line() + line(logger="asyncio", level="error"), 0),
        (line(exception="ValueError"), 0),
        (line(message="Traceback (most recent call last):"), 0),
        (line(path="/hunter2"), 0),
        (line(path='/with"quotes'), 0),
    ],
    ids=[
        "no line",
        "two lines",
        "a line of nobody",
        "no line of what broke off",
        "another status of what broke off",
        "an error",
        "an exception",
        "a traceback",
        "a secret",
        "a secret, escaped",
    ],
)
def test_any_other_log_fails(text: str, left: int) -> None:
    with pytest.raises(AssertionError):
        check_log(text, [ID], left=left, secrets=["hunter2", 'with"quotes'])


def test_an_answer_without_a_line_fails_its_case(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.attacks.WAIT_SECONDS", 0.1)
    answer = Answer(200, HEADERS, b"")
    fails(arena, lambda attack: attack.seen.append(Seen("GET", "/", answer)), "no access line")


def test_a_line_without_an_answer_fails_its_case(arena: Arena) -> None:
    def forgets(attack: Attack) -> None:
        attack.request("GET", "/livez")
        attack.seen.clear()

    fails(arena, forgets, "more access lines")


def test_a_secret_in_the_log_fails_its_case(arena: Arena) -> None:
    def tells(attack: Attack) -> None:
        attack.keeps_secret("hunter2-in-the-path")
        attack.request("GET", "/hunter2-in-the-path")

    fails(arena, tells, "hunter2")


@pytest.mark.parametrize(
    "sent",
    [
        {"token": "a-token-in-the-path"},
        {"document": {"email": "nobody@example.com", "password": "a-password-in-the-path"}},
        {"document": {"current_password": "a-current-in-the-path"}},
    ],
    ids=["token", "password", "current password"],
)
def test_what_is_sent_as_a_secret_is_known_as_one(arena: Arena, sent: dict[str, Any]) -> None:
    def tells(attack: Attack) -> None:
        attack.call("POST", "/api/auth/login", **sent)
        for secret in ("a-token", "a-password", "a-current"):
            attack.request("GET", f"/{secret}-in-the-path")

    fails(arena, tells, "in-the-path")


@pytest.mark.parametrize("name", ["password", "refresh_token"])
@pytest.mark.parametrize("place", ["a body", "a query"])
def test_what_is_sent_as_a_secret_of_a_form_is_known_as_one(arena: Arena, name: str, place: str) -> None:
    def tells(attack: Attack) -> None:
        form = f"grant_type=x&{name}=a%2Dsecret-in+the-path"
        if place == "a body":
            attack.request("POST", "/api/auth/token", body=form.encode())
        else:
            attack.request("POST", f"/api/auth/token?{form}")
        assert "a-secret-in the-path" in attack.secrets
        attack.request("GET", "/a%2Dsecret-in+the-path")

    fails(arena, tells, "in.the-path")


def test_tokens_in_answers_are_known_as_secrets(arena: Arena) -> None:
    with attacking(arena) as attack:
        account = attack.signed_in()
        assert attack.secrets >= {account.access_token, account.refresh_token}


# Rows


def test_rows_are_compared_one_by_one() -> None:
    before, after = {"users": Counter("aab"), "posts": Counter("x")}, {"users": Counter("ab"), "posts": Counter("y")}
    assert changes(before, after) == ["- posts x", "+ posts y", "- users a"]
    assert changes(before, after, but=["posts", "users"]) == []


def test_a_changed_row_fails_its_case(arena: Arena) -> None:
    def changes_a_row(attack: Attack) -> None:
        member = attack.member()
        arena.database.execute("UPDATE users SET role = 'admin' WHERE id = $1", member.id)

    fails(arena, changes_a_row, "users")


def test_a_changed_row_is_not_hidden_by_what_is_arranged_behind_it(arena: Arena) -> None:
    def changes_a_row(attack: Attack) -> None:
        member = attack.member()
        arena.database.execute("UPDATE users SET role = 'admin' WHERE id = $1", member.id)
        attack.member()

    fails(arena, changes_a_row, "users")


def test_a_change_in_another_table_than_declared_fails_its_case(arena: Arena) -> None:
    def changes_another(attack: Attack) -> None:
        attack.may_change("sessions")
        arena.database.execute("INSERT INTO token_blocklist (id, expires_at) VALUES (gen_random_uuid(), now())")

    fails(arena, changes_another, "token_blocklist")


def test_tables_are_found_in_the_catalog(arena: Arena) -> None:
    assert arena.database.rows().keys() >= {"users", "sessions", "token_blocklist"}
    assert "alembic_version" not in arena.database.rows()


# Connections, and who must not notice


def test_the_connections_of_the_service_can_be_told(arena: Arena) -> None:
    counted = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'postern' AND datname = 'attacks'"
    assert arena.database.execute(counted) > 0


@pytest.mark.parametrize("statements", [["BEGIN"], ["BEGIN", "SELECT count(*) FROM users"]], ids=["begun", "has read"])
def test_an_open_transaction_fails_its_case(
    arena: Arena, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, statements: list[str]
) -> None:
    monkeypatch.setattr("tests.support.attacks.QUIET_SECONDS", 0.1)
    with contextlib.closing(Database(cluster.url("attacks"), application_name="postern")) as other:

        def leaves_it_open(_: Attack) -> None:
            for statement in statements:
                other.execute(statement)

        fails(arena, leaves_it_open, "idle in transaction")


def test_a_client_who_is_no_longer_served_fails_the_case(arena: Arena) -> None:
    left_out = replace(arena, witness=replace(arena.witness, access_token="nothing"))
    fails(left_out, lambda attack: None, "status=401")


def test_a_client_who_is_told_of_somebody_else_fails_the_case(arena: Arena) -> None:
    mistaken = replace(arena, witness=replace(arena.witness, email="another@example.com"))
    fails(mistaken, lambda attack: None, "witness@example.com")

"""Users against one another, and against those who may do more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.accounts import PASSWORD, Account
from tests.support.attacks import Attack
from tests.support.forgery import guarded_routes, open_routes
from tests.support.sockets import Answer

PUBLIC = {
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/token"),
    ("POST", "/api/users"),
    ("GET", "/api/users/<int:user_id>/posts"),
    ("GET", "/api/posts"),
    ("GET", "/api/posts/<uuid:post_id>"),
    ("GET", "/api/posts/<uuid:post_id>/comments"),
    ("GET", "/api/posts/<uuid:post_id>/comments/<int:comment_id>"),
}
"""What the contract marks public."""


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json()["code"]) == (status, code), answer


def row(attack: Attack, account: Account) -> tuple[str, str, str, bool]:
    query = "SELECT username, email, role, is_active FROM users WHERE id = $1"
    (found,) = attack.arena.database.fetch(query, account.id)
    return tuple(found)


def only_admin(attack: Attack) -> Account:
    """Make an admin who is the only one that is active."""
    admin = attack.signed_in(role="admin")
    attack.sql("UPDATE users SET role = 'user' WHERE id <> $1", admin.id)
    return admin


def test_no_route_is_open_that_the_contract_does_not_mark_public() -> None:
    assert {(route.method, route.rule.rstrip("/")) for route in open_routes()} <= PUBLIC
    assert not {(route.method, route.rule.rstrip("/")) for route in guarded_routes()} & PUBLIC


# Others' accounts

CHANGES: dict[str, Any] = {
    "username": {"username": "taken.over"},
    "email": {"email": "taken.over@example.com"},
    "both": {"username": "taken.over", "email": "taken.over@example.com"},
    "role": {"role": "admin"},
    "is_active": {"is_active": False},
    "all": {"username": "taken.over", "email": "taken.over@example.com", "role": "admin", "is_active": False},
}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("whose", ["user", "admin"])
def test_nobody_changes_anothers_account(attack: Attack, method: str, changes: dict[str, Any], whose: str) -> None:
    ann, bob = attack.signed_in(), attack.member(role=whose)
    answer = attack.call(method, f"/api/users/{bob.id}", changes, ann.access_token)
    assert_refused(answer, 403, "FORBIDDEN")
    assert bob.email.encode() not in answer.body


@pytest.mark.parametrize("whose", ["user", "admin"])
def test_nobody_deletes_anothers_account(attack: Attack, whose: str) -> None:
    ann, bob = attack.signed_in(), attack.member(role=whose)
    assert_refused(attack.call("DELETE", f"/api/users/{bob.id}", token=ann.access_token), 403, "FORBIDDEN")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_anothers_id_with_zeros_before_it_is_still_anothers(attack: Attack, method: str) -> None:
    ann, bob = attack.signed_in(), attack.member()
    document = None if method == "DELETE" else {"username": "taken.over"}
    answer = attack.call(method, f"/api/users/000{bob.id}", document, ann.access_token)
    assert answer.status in (403, 404)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    "extra", [{"id": 1}, {"user_id": 1}, {"password_hash": "x"}, {"email_key": "x"}, {"created_at": 0}]
)
def test_a_change_says_nothing_of_whose_account_it_is(attack: Attack, method: str, extra: dict[str, Any]) -> None:
    ann = attack.signed_in()
    answer = attack.call(method, f"/api/users/{ann.id}", {"username": "taken.over"} | extra, ann.access_token)
    assert_refused(answer, 400, "VALIDATION_ERROR")


# More rights for oneself


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    "changes",
    [
        {"role": "admin"},
        {"role": "user"},
        {"is_active": True},
        {"is_active": False},
        {"username": "new.name", "role": "admin"},
        {"username": "new.name", "is_active": True},
    ],
    ids=["admin", "user", "active", "inactive", "admin beside a name", "active beside a name"],
)
def test_a_user_who_sends_role_or_is_active_is_refused(attack: Attack, method: str, changes: dict[str, Any]) -> None:
    ann = attack.signed_in()
    answer = attack.call(method, f"/api/users/{ann.id}", changes, ann.access_token)
    assert_refused(answer, 403, "FORBIDDEN")


@pytest.mark.parametrize(
    "body",
    [
        b'{"username": "new.name", "role": "user", "role": "admin"}',
        b'{"role": ["admin"]}',
        b'{"Role": "admin"}',
        b'{"role\\u0000": "admin"}',
        b'{"user": {"role": "admin"}}',
        b'[{"role": "admin"}]',
        b'{"username": "new.name", "$set": {"role": "admin"}}',
    ],
    ids=["twice", "a list", "another case", "a NUL", "nested", "in a list", "an operator"],
)
def test_no_spelling_of_role_is_let_in(attack: Attack, body: bytes) -> None:
    ann = attack.signed_in()
    lines = ["Content-Type: application/json", f"Authorization: Bearer {ann.access_token}"]
    answer = attack.request("PATCH", f"/api/users/{ann.id}", *lines, body=body)
    assert answer.status == 400, answer


def test_only_admins_read_what_is_theirs(attack: Attack) -> None:
    ann, root = attack.signed_in(), attack.signed_in(role="admin")
    assert_refused(attack.call("GET", "/api/auth/admin-only", token=ann.access_token), 403, "ADMIN_REQUIRED")
    assert attack.call("GET", "/api/auth/admin-only", token=root.access_token).json() == {"data": "secret admin data"}


def test_head_tells_nobody_what_only_admins_read(attack: Attack) -> None:
    ann = attack.signed_in()
    assert attack.call("HEAD", "/api/auth/admin-only", token=ann.access_token).status == 403


# What others are told


def test_others_are_shown_without_email_and_role(attack: Attack) -> None:
    ann, bob = attack.signed_in(), attack.member(role="admin")
    answer = attack.call("GET", f"/api/users/{bob.id}", token=ann.access_token)
    assert answer.json().keys() == {"id", "username", "is_active", "created_at", "updated_at"}
    assert bob.email.encode() not in answer.body


def test_a_list_shows_no_email_but_ones_own(attack: Attack) -> None:
    ann = attack.signed_in()
    answer = attack.call("GET", "/api/users/?per_page=100", token=ann.access_token)
    told = [user["id"] for user in answer.json()["users"] if "email" in user or "role" in user]
    assert told == [ann.id]
    assert answer.body.count(b"@example.com") == 1


@pytest.mark.parametrize("role", ["user", "admin"])
def test_no_answer_holds_a_password_or_its_hash(attack: Attack, role: str) -> None:
    ann = attack.signed_in(role=role)
    for target in ("/api/auth/me", f"/api/users/{ann.id}", "/api/users/?per_page=100"):
        answer = attack.call("GET", target, token=ann.access_token)
        assert b"password" not in answer.body
        assert b"argon2" not in answer.body


@pytest.mark.parametrize("named", ["email", "username"])
def test_a_taken_name_tells_nothing_of_who_has_it(attack: Attack, named: str) -> None:
    """That it is taken has to be told; by whom, and whether that account is disabled, not."""
    ann = attack.signed_in()
    bob, off = attack.member(role="admin"), attack.member(is_active=False)
    said = []
    for other in (bob, off):
        value = getattr(other, named)
        answer = attack.call("PATCH", f"/api/users/{ann.id}", {named: value.upper()}, ann.access_token)
        assert_refused(answer, 409, f"{named.upper()}_TAKEN")
        document = answer.json()
        del document["request_id"]
        said.append(document)
    assert said[0] == said[1]


def test_a_missing_account_and_anothers_are_refused_in_the_contracts_order(attack: Attack) -> None:
    """The row's 404 comes before the 403; and the body's 400 before both."""
    ann, bob = attack.signed_in(), attack.member()
    for target in (f"/api/users/{bob.id}", f"/api/users/{2**62}"):
        assert_refused(attack.call("PATCH", target, {"nothing": 1}, ann.access_token), 400, "VALIDATION_ERROR")
    assert_refused(attack.call("PATCH", f"/api/users/{2**62}", {"role": "admin"}, ann.access_token), 404, "NOT_FOUND")


# The last admin


@pytest.mark.parametrize(
    "changes", [{"role": "user"}, {"is_active": False}, {"role": "user", "is_active": False}], ids=json.dumps
)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_the_last_admin_can_not_step_down(attack: Attack, method: str, changes: dict[str, Any]) -> None:
    root = only_admin(attack)
    answer = attack.call(method, f"/api/users/{root.id}", changes | {"username": "new.name"}, root.access_token)
    assert_refused(answer, 409, "LAST_ADMIN")


def test_the_last_admin_can_not_be_deleted(attack: Attack) -> None:
    root = only_admin(attack)
    assert_refused(attack.call("DELETE", f"/api/users/{root.id}", token=root.access_token), 409, "LAST_ADMIN")


def test_a_disabled_admin_does_not_count_as_one(attack: Attack) -> None:
    root = only_admin(attack)
    attack.member(role="admin", is_active=False)
    assert_refused(attack.call("DELETE", f"/api/users/{root.id}", token=root.access_token), 409, "LAST_ADMIN")


def test_an_admin_who_is_not_the_last_may_go(attack: Attack) -> None:
    root = only_admin(attack)
    attack.member(role="admin")
    attack.may_change("users", "sessions")
    assert attack.call("DELETE", f"/api/users/{root.id}", token=root.access_token).status == 204


# Deleted and disabled in between


def test_an_account_deleted_in_between_is_not_found(attack: Attack) -> None:
    root, bob = attack.signed_in(role="admin"), attack.member()
    with attack.arranged():
        assert attack.call("DELETE", f"/api/users/{bob.id}", token=root.access_token).status == 204
    connection = attack.connect()
    for method, document in [("GET", None), ("PATCH", {"role": "admin"}), ("DELETE", None)]:
        answer = connection.call(method, f"/api/users/{bob.id}", document, root.access_token)
        assert_refused(answer, 404, "NOT_FOUND")


def test_deleting_an_account_takes_its_own_rows_along_and_no_others(attack: Attack) -> None:
    ann, bob = attack.signed_in(), attack.signed_in()
    before = attack.arena.database.rows()["sessions"].total()
    with attack.arranged():
        assert attack.call("DELETE", f"/api/users/{ann.id}", token=ann.access_token).status == 204
    assert attack.arena.database.rows()["sessions"].total() == before - 1
    assert attack.call("GET", "/api/auth/me", token=bob.access_token).json()["id"] == bob.id


def test_logging_out_ends_no_session_of_anothers(attack: Attack) -> None:
    ann, bob = attack.signed_in(), attack.signed_in()
    with attack.arranged():
        assert attack.call("DELETE", "/api/auth/logout", token=ann.access_token).status == 200
    attack.may_change("sessions")
    assert attack.call("POST", "/api/auth/refresh", token=bob.refresh_token).status == 200


def test_an_admin_changes_what_was_asked_and_no_more(attack: Attack) -> None:
    root, bob = attack.signed_in(role="admin"), attack.signed_in()
    with attack.arranged():
        assert attack.call("PATCH", f"/api/users/{bob.id}", {"role": "admin"}, root.access_token).status == 200
    assert row(attack, bob) == (bob.username, bob.email, "admin", True)
    login = attack.call("POST", "/api/auth/login", {"email": bob.email, "password": PASSWORD})
    attack.may_change("sessions")
    assert login.status == 200

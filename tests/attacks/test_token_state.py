"""Good tokens whose user, session or rights have changed since."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.accounts import PASSWORD, Account
from tests.support.attacks import Attack

REVOKED = (401, "TOKEN_REVOKED")
INVALID = (401, "INVALID_TOKEN")


def refusal(attack: Attack, method: str, target: str, document: Any = None, token: str = "") -> tuple[int, str]:
    answer = attack.call(method, target, document, token)
    return answer.status, answer.json().get("code")


def assert_dead(attack: Attack, account: Account, why: tuple[int, str]) -> None:
    """Both tokens are refused, for this reason, and neither does anything."""
    assert refusal(attack, "GET", "/api/auth/me", token=account.access_token) == why
    change = {"username": "back.again"}
    assert refusal(attack, "PATCH", f"/api/users/{account.id}", change, token=account.access_token) == why
    assert refusal(attack, "DELETE", "/api/auth/logout", token=account.access_token) == why
    assert refusal(attack, "POST", "/api/auth/refresh", token=account.refresh_token) == why


def log_out(attack: Attack, account: Account) -> None:
    with attack.arranged():
        assert attack.call("DELETE", "/api/auth/logout", token=account.access_token).status == 200


def set_active(attack: Attack, account: Account, is_active: bool) -> None:
    """Have an admin set it, over HTTP."""
    admin = attack.signed_in(role="admin")
    with attack.arranged():
        answer = attack.call("PATCH", f"/api/users/{account.id}", {"is_active": is_active}, admin.access_token)
    assert answer.status == 200, answer


def delete(attack: Attack, account: Account) -> None:
    with attack.arranged():
        assert attack.call("DELETE", f"/api/users/{account.id}", token=account.access_token).status == 204


def test_a_logged_out_session_is_dead(attack: Attack) -> None:
    ann = attack.signed_in()
    log_out(attack, ann)
    assert_dead(attack, ann, REVOKED)


def test_logging_out_ends_earlier_access_tokens_of_the_session(attack: Attack) -> None:
    first = attack.signed_in()
    second = attack.refreshed(first)
    third = attack.refreshed(second)
    log_out(attack, third)
    for account in (first, second, third):
        assert_dead(attack, account, REVOKED)


def test_logging_out_with_an_earlier_access_token_ends_later_ones(attack: Attack) -> None:
    first = attack.signed_in()
    second = attack.refreshed(first)
    log_out(attack, first)
    assert_dead(attack, second, REVOKED)


def test_logging_out_leaves_other_sessions_alive(attack: Attack) -> None:
    ann = attack.member()
    first, second = attack.log_in(ann), attack.log_in(ann)
    log_out(attack, first)
    assert_dead(attack, first, REVOKED)
    assert attack.call("GET", "/api/auth/me", token=second.access_token).status == 200
    attack.refreshed(second)


def test_a_disabled_users_tokens_are_invalid(attack: Attack) -> None:
    ann = attack.signed_in()
    set_active(attack, ann, False)
    assert_dead(attack, ann, INVALID)


def test_a_user_disabled_by_an_operator_has_no_valid_token(attack: Attack) -> None:
    ann = attack.signed_in()
    attack.sql("UPDATE users SET is_active = false WHERE id = $1", ann.id)
    assert_dead(attack, ann, INVALID)


def test_enabling_a_user_restores_no_token(attack: Attack) -> None:
    first = attack.signed_in()
    second = attack.refreshed(first)
    other = attack.log_in(first)
    set_active(attack, first, False)
    set_active(attack, first, True)
    for account in (first, second, other):
        assert_dead(attack, account, REVOKED)
    assert attack.call("GET", "/api/auth/me", token=attack.log_in(first).access_token).status == 200


def test_a_disabled_user_can_not_log_in(attack: Attack) -> None:
    ann = attack.member(is_active=False)
    login = {"email": ann.email, "password": PASSWORD}
    assert refusal(attack, "POST", "/api/auth/login", login) == (403, "ACCOUNT_DISABLED")


def test_a_disabled_user_is_not_told_apart_by_a_wrong_password(attack: Attack) -> None:
    ann = attack.member(is_active=False)
    login = {"email": ann.email, "password": "not the password"}
    assert refusal(attack, "POST", "/api/auth/login", login) == (401, "INVALID_CREDENTIALS")


def test_a_deleted_users_tokens_are_invalid(attack: Attack) -> None:
    ann = attack.signed_in()
    delete(attack, ann)
    assert_dead(attack, ann, INVALID)


def test_a_deleted_users_tokens_are_not_those_of_who_takes_the_name(attack: Attack) -> None:
    ann = attack.signed_in()
    delete(attack, ann)
    with attack.arranged():
        document = {"username": ann.username, "email": ann.email, "password": PASSWORD}
        assert attack.call("POST", "/api/users/", document).status == 201
    assert_dead(attack, ann, INVALID)


def test_a_demoted_admin_has_no_rights_from_then_on(attack: Attack) -> None:
    root, other = attack.signed_in(role="admin"), attack.signed_in(role="admin")
    ann = attack.member()
    with attack.arranged():
        demoted = attack.call("PATCH", f"/api/users/{root.id}", {"role": "user"}, other.access_token)
    assert demoted.status == 200
    for token in (root.access_token, attack.refreshed(root).access_token):
        assert refusal(attack, "GET", "/api/auth/admin-only", token=token) == (403, "ADMIN_REQUIRED")
        assert refusal(attack, "PATCH", f"/api/users/{ann.id}", {"username": "x.y.z"}, token) == (403, "FORBIDDEN")
        assert refusal(attack, "PATCH", f"/api/users/{root.id}", {"role": "admin"}, token) == (403, "FORBIDDEN")
        assert refusal(attack, "DELETE", f"/api/users/{ann.id}", token=token) == (403, "FORBIDDEN")
        assert "email" not in attack.call("GET", f"/api/users/{ann.id}", token=token).json()


def test_a_promoted_user_has_rights_at_once(attack: Attack) -> None:
    ann = attack.signed_in()
    attack.sql("UPDATE users SET role = 'admin' WHERE id = $1", ann.id)
    assert attack.call("GET", "/api/auth/admin-only", token=ann.access_token).status == 200


def test_a_rotated_refresh_token_that_comes_back_ends_the_session(attack: Attack) -> None:
    first = attack.signed_in()
    third = attack.refreshed(attack.refreshed(first))
    with attack.arranged():
        assert refusal(attack, "POST", "/api/auth/refresh", token=first.refresh_token) == (401, "TOKEN_REUSED")
    assert_dead(attack, third, REVOKED)
    assert_dead(attack, first, REVOKED)


def test_refreshing_slides_no_expiry_of_the_access_token(attack: Attack) -> None:
    ann = attack.signed_in()
    attack.refreshed(ann)
    assert attack.call("GET", "/api/auth/me", token=ann.access_token).status == 200


def test_an_expired_session_can_not_be_refreshed(attack: Attack) -> None:
    ann = attack.signed_in()
    attack.sql("UPDATE sessions SET expires_at = now() - interval '1 second' WHERE user_id = $1", ann.id)
    assert attack.call("POST", "/api/auth/refresh", token=ann.refresh_token).status == 401


@pytest.mark.parametrize("role", ["user", "admin"])
def test_an_access_token_says_nothing_of_its_users_role(attack: Attack, role: str) -> None:
    ann = attack.signed_in(role=role)
    attack.sql("UPDATE users SET role = $1 WHERE id = $2", "user" if role == "admin" else "admin", ann.id)
    status = attack.call("GET", "/api/auth/admin-only", token=ann.access_token).status
    assert status == (403 if role == "admin" else 200)

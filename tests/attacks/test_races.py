"""Many clients at once, on two processes that share nothing but their database."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from service.embedded import Cluster
from tests.attacks.conftest import arena_of
from tests.support.accounts import Account
from tests.support.attacks import Arena, Attack, attacking
from tests.support.forgery import decoded
from tests.support.sockets import Answer

T = TypeVar("T")
AT_ONCE = 20
Request = tuple[str, str, object, str]
"""Method, target, document and token."""


@pytest.fixture(scope="module")
def arena(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Two processes on a database of their own, so that who is an admin there is known."""
    with arena_of(cluster, "races", tmp_path_factory.mktemp("races"), servers=2) as arena:
        yield arena


@pytest.fixture
def attack(arena: Arena) -> Iterator[Attack]:
    with attacking(arena) as attack:
        yield attack


@pytest.fixture(scope="module")
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(AT_ONCE) as clients:
        yield clients


def at_once(clients: ThreadPoolExecutor, attack: Attack, requests: Sequence[Request]) -> list[Answer]:
    """Send each request over a connection of its own, in turn to the one process and the other, all at the same time.

    What they change is arranged: a case looks at the rows itself.
    """
    barrier = threading.Barrier(len(requests), timeout=10)
    servers = len(attack.arena.servers)

    def send(number: int) -> Answer:
        with attack.connect(number % servers) as connection:
            barrier.wait()
            method, target, document, token = requests[number]
            return connection.call(method, target, document, token)

    with attack.arranged():
        return list(clients.map(send, range(len(requests))))


def codes(answers: Sequence[Answer]) -> Counter[tuple[int, str]]:
    return Counter((answer.status, answer.json().get("code", "") if answer.status >= 400 else "") for answer in answers)


@pytest.mark.parametrize("same", ["username", "email", "both"])
def test_of_twenty_equal_registrations_exactly_one_succeeds(
    clients: ThreadPoolExecutor, attack: Attack, same: str
) -> None:
    for round_ in range(3):

        def document(number: int, round_: int = round_) -> dict[str, str]:
            name = f"{same}-{round_}"
            other = f"{name}-{number}"
            return {
                "username": other if same == "email" else [name, name.upper()][number % 2],
                "email": f"{other if same == 'username' else [name, name.upper()][number % 2]}@example.com",
                "password": f"the password of {number:02}",
            }

        answers = at_once(clients, attack, [("POST", "/api/users/", document(n), "") for n in range(AT_ONCE)])

        counted = codes(answers)
        assert counted[201, ""] == 1
        assert counted[409, "EMAIL_TAKEN"] + counted[409, "USERNAME_TAKEN"] == AT_ONCE - 1
        found = "SELECT count(*) FROM users WHERE lower(username) LIKE $1"
        assert attack.arena.database.execute(found, f"{same}-{round_}%") == 1


def test_a_refresh_beside_a_logout_leaves_no_token_that_works(clients: ThreadPoolExecutor, attack: Attack) -> None:
    ann = attack.member()
    for round_ in range(15):
        tokens = attack.log_in(ann)
        pair: list[Request] = [
            ("POST", "/api/auth/refresh", None, tokens.refresh_token),
            ("DELETE", "/api/auth/logout", None, tokens.access_token),
        ]
        refreshed, logged_out = in_turn(round_, at_once(clients, attack, in_turn(round_, pair)))

        assert logged_out.status == 200
        assert codes([refreshed]).keys() <= {(200, ""), (401, "TOKEN_REVOKED")}
        access, refresh = [tokens.access_token], [tokens.refresh_token]
        if refreshed.status == 200:
            access.append(refreshed.json()["access_token"])
            refresh.append(refreshed.json()["refresh_token"])
        for server in range(2):
            with attack.connect(server) as connection:
                answers = [connection.call("GET", "/api/auth/me", token=token) for token in access]
                answers += [connection.call("POST", "/api/auth/refresh", token=token) for token in refresh]
            assert codes(answers).keys() == {(401, "TOKEN_REVOKED")}


def in_turn(round_: int, pair: Sequence[T]) -> list[T]:
    return list(pair) if round_ % 2 else list(reversed(pair))


def demotes(by: Account, whom: Account) -> Request:
    return "PATCH", f"/api/users/{whom.id}", {"role": "user"}, by.access_token


def disables(by: Account, whom: Account) -> Request:
    return "PATCH", f"/api/users/{whom.id}", {"is_active": False}, by.access_token


def deletes(by: Account, whom: Account) -> Request:
    return "DELETE", f"/api/users/{whom.id}", None, by.access_token


def steps_down(by: Account, _: Account) -> Request:
    return demotes(by, by)


Deed = Callable[[Account, Account], Request]


@pytest.mark.parametrize("first", [demotes, disables, deletes, steps_down])
@pytest.mark.parametrize("second", [demotes, disables, deletes, steps_down])
def test_of_two_last_admins_at_each_other_one_stays(
    clients: ThreadPoolExecutor, attack: Attack, first: Deed, second: Deed
) -> None:
    for round_ in range(5):
        attack.sql("UPDATE users SET role = 'user' WHERE role = 'admin'")
        eve, root = attack.signed_in(role="admin"), attack.signed_in(role="admin")

        requests = [first(eve, root), second(root, eve)]
        answers = at_once(clients, attack, in_turn(round_, requests))

        admins = "SELECT count(*) FROM users WHERE role = 'admin' AND is_active"
        assert attack.arena.database.execute(admins) == 1
        counted = codes(answers)
        whom = {target for _, target, _, _ in requests}
        assert 1 <= counted[200, ""] + counted[204, ""] <= 3 - len(whom)
        # Whoever came second was no admin any more, or was gone, or the last one.
        refusals = {(401, "INVALID_TOKEN"), (401, "TOKEN_REVOKED"), (403, "FORBIDDEN"), (404, "NOT_FOUND")}
        assert counted.keys() <= {(200, ""), (204, ""), (409, "LAST_ADMIN"), *refusals}


def test_twenty_logouts_of_one_session_end_it_once(clients: ThreadPoolExecutor, attack: Attack) -> None:
    ann = attack.member()
    for _ in range(3):
        tokens = attack.log_in(ann)
        answers = at_once(clients, attack, [("DELETE", "/api/auth/logout", None, tokens.access_token)] * AT_ONCE)
        counted = codes(answers)
        assert counted[200, ""] >= 1
        assert counted[200, ""] + counted[401, "TOKEN_REVOKED"] == AT_ONCE


def test_an_account_deleted_under_its_own_requests_leaves_nothing(clients: ThreadPoolExecutor, attack: Attack) -> None:
    for round_ in range(5):
        ann = attack.signed_in()
        requests: list[Request] = [("DELETE", f"/api/users/{ann.id}", None, ann.access_token)] * 4
        requests += [("POST", "/api/auth/refresh", None, ann.refresh_token)]
        requests += [("PATCH", f"/api/users/{ann.id}", {"username": f"gone-{round_}"}, ann.access_token)] * 4
        requests += [("GET", "/api/auth/me", None, ann.access_token)] * 4
        requests += [("DELETE", "/api/auth/logout", None, ann.access_token)]

        counted = codes(at_once(clients, attack, requests))

        refusals = {(401, "INVALID_TOKEN"), (401, "TOKEN_REVOKED"), (404, "NOT_FOUND")}
        assert counted.keys() <= {(200, ""), (204, ""), *refusals}
        left = attack.arena.database.execute("SELECT count(*) FROM sessions WHERE user_id = $1", ann.id)
        exists = attack.arena.database.execute("SELECT count(*) FROM users WHERE id = $1", ann.id)
        assert (left > 0, exists) == (counted[204, ""] == 0, 1 - counted[204, ""])


def test_a_login_beside_a_disabling_leaves_no_session_alive(clients: ThreadPoolExecutor, attack: Attack) -> None:
    root = attack.signed_in(role="admin")
    for _ in range(5):
        ann = attack.signed_in()
        login = {"email": ann.email, "password": "correct horse battery"}
        requests: list[Request] = [("POST", "/api/auth/login", login, "")] * 4 + [disables(root, ann)]

        answers = at_once(clients, attack, requests)

        assert codes(answers).keys() <= {(200, ""), (403, "ACCOUNT_DISABLED")}
        attack.sql("UPDATE users SET is_active = true WHERE id = $1", ann.id)
        begun = [answer.json() for answer in answers[:4] if answer.status == 200]
        for pair in begun:
            assert attack.call("GET", "/api/auth/me", token=pair["access_token"]).status == 401
            assert attack.call("POST", "/api/auth/refresh", token=pair["refresh_token"]).status == 401


def test_the_servers_are_two(arena: Arena) -> None:
    assert len({server.process.pid for server in arena.servers}) == 2
    with contextlib.ExitStack() as stack:
        attack = stack.enter_context(attacking(arena))
        for server in range(2):
            assert attack.connect(server).request("GET", "/readyz").status == 200


def test_twenty_refreshes_of_one_token_all_get_the_same_pair(clients: ThreadPoolExecutor, attack: Attack) -> None:
    for _ in range(5):
        tokens = attack.signed_in()

        answers = at_once(clients, attack, [("POST", "/api/auth/refresh", None, tokens.refresh_token)] * AT_ONCE)

        assert codes(answers) == {(200, ""): AT_ONCE}
        pairs = {(answer.json()["access_token"], answer.json()["refresh_token"]) for answer in answers}
        assert len(pairs) == 1
        ((access_token, refresh_token),) = pairs
        current = attack.arena.database.execute("SELECT refresh_jti FROM sessions WHERE user_id = $1", tokens.id)
        assert decoded(refresh_token.split(".")[1])["jti"] == str(current)
        assert attack.call("GET", "/api/auth/me", token=access_token).status == 200

"""Many clients at once, on two processes that share nothing but their database."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from service.embedded import Cluster
from tests.attacks.conftest import arena_of
from tests.support.accounts import PASSWORD, Account
from tests.support.attacks import Arena, Attack, attacking, with_pair
from tests.support.forgery import decoded
from tests.support.processes import postern
from tests.support.sockets import Answer

T = TypeVar("T")
AT_ONCE = 20
ENOUGH_SECONDS = 2
"""For the rounds of one race, whatever else the machine does."""
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


def rounds(most: int) -> Iterator[int]:
    """So many rounds, or as many as there is time for."""
    deadline = time.monotonic() + ENOUGH_SECONDS
    for round_ in range(most):
        if time.monotonic() < deadline:
            yield round_


def refreshes(account: Account) -> Request:
    return "POST", "/api/auth/refresh", None, account.refresh_token


def changes_password(account: Account, current: str, new: str) -> Request:
    document = {"current_password": current, "new_password": new}
    return "POST", "/api/auth/password", document, account.access_token


def pairs_of(account: Account, answers: Sequence[Answer]) -> list[Account]:
    """The account with each pair that was given out."""
    return [with_pair(account, answer) for answer in answers if answer.status == 200]


def assert_dead(attack: Attack, *accounts: Account, codes_: Sequence[str] = ("TOKEN_REVOKED",)) -> None:
    """No token of these works, on either process."""
    for server in range(2):
        for account in accounts:
            answers = [
                attack.call("GET", "/api/auth/me", token=account.access_token, server=server),
                attack.call("POST", "/api/auth/refresh", token=account.refresh_token, server=server),
            ]
            assert codes(answers).keys() <= {(401, code) for code in codes_}


def assert_alive(attack: Attack, account: Account) -> Account:
    """The access token works on both processes, and the refresh token is exchanged."""
    for server in range(2):
        assert attack.call("GET", "/api/auth/me", token=account.access_token, server=server).status == 200
    return attack.refreshed(account)


def test_a_change_of_password_beside_refreshes_leaves_one_pair_and_it_works(
    clients: ThreadPoolExecutor, attack: Attack
) -> None:
    ann, passwords = attack.signed_in(), [PASSWORD, "another horse battery"]
    for round_ in rounds(8):
        requests = [refreshes(ann)] * (1 + round_ % 4)
        requests.insert(round_ % len(requests), changes_password(ann, *passwords))
        place = [target for _, target, _, _ in requests].index("/api/auth/password")

        answers = at_once(clients, attack, requests)

        changed = answers.pop(place)
        assert changed.status == 200
        passwords.reverse()
        assert codes(answers).keys() <= {(200, ""), (401, "TOKEN_REVOKED")}
        new = with_pair(ann, changed)
        assert_dead(attack, ann, *pairs_of(ann, answers))
        ann = assert_alive(attack, new)


def test_of_two_changes_of_password_at_once_in_one_session_one_wins(
    clients: ThreadPoolExecutor, attack: Attack
) -> None:
    ann, current = attack.signed_in(), PASSWORD
    for round_ in rounds(6):
        new = [f"horse battery {round_} {which}" for which in range(2)]
        answers = at_once(clients, attack, [changes_password(ann, current, password) for password in new])

        assert sorted(answer.status for answer in answers) in ([200, 400], [200, 401])
        assert codes(answers).keys() <= {(200, ""), (400, "VALIDATION_ERROR"), (401, "TOKEN_REVOKED")}
        winner = [answer.status for answer in answers].index(200)
        assert_dead(attack, ann)
        ann, current = assert_alive(attack, with_pair(ann, answers[winner])), new[winner]
        loser = {"email": ann.email, "password": new[1 - winner]}
        assert codes([attack.call("POST", "/api/auth/login", loser)]) == {(401, "INVALID_CREDENTIALS"): 1}


def test_of_two_changes_of_password_at_once_in_two_sessions_one_wins(
    clients: ThreadPoolExecutor, attack: Attack
) -> None:
    for round_ in rounds(6):
        ann = attack.member()
        sessions = [attack.log_in(ann), attack.log_in(ann)]
        new = [f"horse battery {round_} {which}" for which in range(2)]
        requests = [changes_password(session, PASSWORD, new[which]) for which, session in enumerate(sessions)]
        answers = at_once(clients, attack, requests)

        assert sorted(answer.status for answer in answers) in ([200, 400], [200, 401])
        winner = [answer.status for answer in answers].index(200)
        assert_dead(attack, *sessions)
        assert_alive(attack, with_pair(ann, answers[winner]))
        alive = "SELECT count(*) FROM sessions WHERE user_id = $1 AND ended_at IS NULL"
        assert attack.arena.database.execute(alive, ann.id) == 1


@pytest.mark.parametrize("both", [False, True], ids=["of one session", "of two sessions"])
def test_ending_all_sessions_beside_refreshes_leaves_no_token_that_works(
    clients: ThreadPoolExecutor, attack: Attack, both: bool
) -> None:
    member = attack.member()
    for round_ in rounds(8):
        first = attack.log_in(member)
        second = attack.log_in(member) if both else first
        requests: list[Request] = [refreshes(first), refreshes(second)]
        requests.insert(round_ % 3, ("DELETE", "/api/auth/sessions", None, second.access_token))
        answers = at_once(clients, attack, requests)

        ended = answers.pop(round_ % 3)
        assert ended.status == 204
        assert codes(answers).keys() <= {(200, ""), (401, "TOKEN_REVOKED")}
        assert_dead(attack, first, second, *pairs_of(member, answers))


def test_ending_one_session_beside_its_refresh_leaves_the_other_alive(
    clients: ThreadPoolExecutor, attack: Attack
) -> None:
    member = attack.member()
    other = attack.log_in(member)
    for round_ in rounds(8):
        ann = attack.log_in(member)
        session = decoded(ann.access_token.split(".")[1])["sid"]
        pair: list[Request] = [refreshes(ann), ("DELETE", f"/api/auth/sessions/{session}", None, other.access_token)]
        refreshed, ended = in_turn(round_, at_once(clients, attack, in_turn(round_, pair)))

        assert ended.status == 204
        assert codes([refreshed]).keys() <= {(200, ""), (401, "TOKEN_REVOKED")}
        assert_dead(attack, ann, *pairs_of(member, [refreshed]))
        other = assert_alive(attack, other)


def test_logins_and_refreshes_beside_a_disabling_leave_no_session_alive(
    clients: ThreadPoolExecutor, attack: Attack
) -> None:
    root = attack.signed_in(role="admin")
    for round_ in rounds(6):
        ann = attack.signed_in()
        login: Request = ("POST", "/api/auth/login", {"email": ann.email, "password": PASSWORD}, "")
        requests = [login, refreshes(ann), login, refreshes(ann), login]
        place = round_ % 6
        requests.insert(place, disables(root, ann))
        answers = at_once(clients, attack, requests)

        assert answers.pop(place).status == 200
        refusals = {(403, "ACCOUNT_DISABLED"), (401, "INVALID_TOKEN"), (401, "TOKEN_REVOKED")}
        assert codes(answers).keys() <= {(200, ""), *refusals}
        begun = [ann, *pairs_of(ann, answers)]
        assert_dead(attack, *begun, codes_=["INVALID_TOKEN"])
        attack.sql("UPDATE users SET is_active = true WHERE id = $1", ann.id)
        assert_dead(attack, *begun)


EXPIRED = """
    WITH gone AS (
        INSERT INTO sessions (user_id, refresh_jti, expires_at, ends_at, ended_at)
        SELECT $1, gen_random_uuid(), now() - interval '31 days', now(), CASE WHEN n % 2 = 0 THEN now() END
        FROM generate_series(1, 2500) AS n RETURNING id
    )
    INSERT INTO token_blocklist (id, expires_at) SELECT id, now() - interval '1 day' FROM gone
"""


def test_purging_beside_refreshes_logs_nobody_out_and_lets_nobody_in(
    clients: ThreadPoolExecutor, attack: Attack, tmp_path: Path
) -> None:
    owner = attack.member()
    alive = [attack.signed_in() for _ in range(4)]
    over = attack.signed_in()
    with attack.arranged():
        assert attack.call("DELETE", "/api/auth/logout", token=over.access_token).status == 200
    attack.sql(EXPIRED, owner.id)
    purging = threading.Event()

    def purge() -> str:
        try:
            done = postern("purge", folder=tmp_path, env=attack.arena.environment)
        finally:
            purging.set()
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refresh(place: int) -> int:
        """Go on refreshing until the purge is over, each second one lost and asked for again."""
        turns = 0
        while not purging.is_set() or turns < 4:
            before, server = alive[place], turns % 2
            answer = attack.call("POST", "/api/auth/refresh", token=before.refresh_token, server=server)
            alive[place] = with_pair(before, answer)
            if turns % 2:
                again = attack.call("POST", "/api/auth/refresh", token=before.refresh_token, server=1 - server)
                assert with_pair(before, again) == alive[place]
            turns += 1
            time.sleep(0.02)
        return turns

    with attack.arranged():
        purged = clients.submit(purge)
        turns = list(clients.map(refresh, range(len(alive))))
        said = purged.result()

    assert int(said.split()[1]) >= 5000  # "postern: 5001 rows removed"
    assert attack.arena.database.execute("SELECT count(*) FROM sessions WHERE user_id = $1", owner.id) == 0
    assert min(turns) >= 4
    for account in alive:
        assert_alive(attack, account)
    assert_dead(attack, over)


def test_two_purges_at_once_and_a_session_that_expires_meanwhile(
    clients: ThreadPoolExecutor, attack: Attack, tmp_path: Path
) -> None:
    ann, bob = attack.signed_in(), attack.signed_in()
    attack.sql(EXPIRED, ann.id)
    attack.sql("UPDATE sessions SET expires_at = now() WHERE user_id = $1 AND ended_at IS NULL", bob.id)
    with attack.arranged():
        purges = [clients.submit(postern, "purge", folder=tmp_path, env=attack.arena.environment) for _ in range(2)]
        while not all(purge.done() for purge in purges):
            refused = attack.call("POST", "/api/auth/refresh", token=bob.refresh_token)
            assert codes([refused]).keys() <= {(401, "TOKEN_EXPIRED"), (401, "INVALID_TOKEN")}
            ann = with_pair(ann, attack.call("POST", "/api/auth/refresh", token=ann.refresh_token, server=1))
            time.sleep(0.02)
    for purge in purges:
        assert purge.result().returncode == 0, purge.result().stderr
    assert_alive(attack, ann)

"""Guessing passwords, and lying about where one is, on processes that count."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest
from service.embedded import Cluster
from tests.attacks.conftest import arena_of
from tests.support.accounts import PASSWORD, Account
from tests.support.attacks import Arena, Attack, attacking, with_pair
from tests.support.sockets import Answer

HERE = "198.51.100.7"
ELSEWHERE = "203.0.113.7"
JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
AT_ONCE = 20


@pytest.fixture(scope="module")
def arena(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """A process behind one proxy, which is these cases: what they append is believed."""
    folder, counts = tmp_path_factory.mktemp("guessing"), {"RATE_LIMIT_ENABLED": "true", "TRUSTED_PROXIES": "1"}
    with arena_of(cluster, "guessing", folder, servers=1, **counts) as arena:
        yield arena


@pytest.fixture(scope="module")
def open_arena(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """A process behind no proxy."""
    folder = tmp_path_factory.mktemp("guessing-openly")
    with arena_of(cluster, "guessing_openly", folder, servers=1, RATE_LIMIT_ENABLED="true") as arena:
        yield arena


@pytest.fixture
def attack(arena: Arena) -> Iterator[Attack]:
    with attacking(arena) as attack:
        forget(attack)
        yield attack


@pytest.fixture
def open_attack(open_arena: Arena) -> Iterator[Attack]:
    with attacking(open_arena) as attack:
        forget(attack)
        yield attack


def forget(attack: Attack) -> None:
    """Let nobody have asked for anything yet."""
    attack.sql("DELETE FROM rate_counts")
    attack.sql("DELETE FROM login_failures")


def address(number: int) -> str:
    """One of a network's addresses: each may log in to an account ten times a minute."""
    return f"198.51.100.{number + 1}"


def log_in(attack: Attack, email: str, password: str = PASSWORD, *lines: str, at: str = HERE) -> Answer:
    lines = lines or (f"X-Forwarded-For: {at}",)
    body = json.dumps({"email": email, "password": password}).encode()
    return attack.request("POST", "/api/auth/login", JSON, *lines, body=body)


def grant(attack: Attack, username: str, password: str = PASSWORD, *, at: str = HERE) -> Answer:
    body = urlencode({"grant_type": "password", "username": username, "password": password}).encode()
    return attack.request("POST", "/api/auth/token", FORM, f"X-Forwarded-For: {at}", body=body)


def fail(attack: Attack, email: str, times: int = 10) -> None:
    """Log in with wrong passwords, each time from another address of one network."""
    for number in range(times):
        answer = log_in(attack, email, f"wrong number {number}", at=address(number))
        assert_refused(answer, 401, "INVALID_CREDENTIALS")


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json()["code"]) == (status, code), answer


def assert_locked(answer: Answer, seconds: int = 30) -> None:
    assert_refused(answer, 429, "RATE_LIMITED")
    assert answer.json()["title"] == "Too many failed logins"
    assert seconds - 10 <= int(answer.headers["retry-after"]) <= seconds


def told(answer: Answer) -> tuple[int, dict[str, str], dict[str, Any]]:
    """What an answer says, but for what is of the one request, or of the moment."""
    own = ("x-request-id", "date", "retry-after", "ratelimit-reset")
    headers = {name: value for name, value in answer.headers.items() if name not in own}
    return answer.status, headers, answer.json() | {"request_id": ""}


# The lock


def test_after_ten_failures_right_wrong_and_unknown_are_told_alike(attack: Attack) -> None:
    known, disabled, unknown = attack.member(), attack.member(is_active=False), "nobody@example.com"
    for email in (known.email, disabled.email, unknown):
        fail(attack, email)
    attack.sql("DELETE FROM rate_counts")
    answers = []
    for number, email in enumerate([known.email, disabled.email, unknown]):
        for place, password in enumerate([PASSWORD, "certainly not this"]):
            answers.append(log_in(attack, email, password, at=address(100 + 2 * number + place)))
    for answer in answers:
        assert_locked(answer)
        assert told(answer) == told(answers[0])


@pytest.mark.parametrize("other", [ELSEWHERE, "198.51.101.7", "198.51.99.7", "2001:db8::1"])
def test_another_network_is_free_of_it(attack: Attack, other: str) -> None:
    ann = attack.member()
    fail(attack, ann.email)
    assert_locked(log_in(attack, ann.email, at=address(99)))
    with attack.arranged():
        assert log_in(attack, ann.email, at=other).status == 200
    assert_locked(log_in(attack, ann.email, at=address(98)))


def test_another_account_is_free_of_it(attack: Attack) -> None:
    ann, bob = attack.member(), attack.member()
    fail(attack, ann.email)
    with attack.arranged():
        assert log_in(attack, bob.email).status == 200


def test_no_live_session_is_touched(attack: Attack) -> None:
    ann = attack.signed_in()
    fail(attack, ann.email)
    assert_locked(log_in(attack, ann.email))
    here = f"X-Forwarded-For: {HERE}"
    me = attack.request("GET", "/api/auth/me", here, f"Authorization: Bearer {ann.access_token}")
    assert me.status == 200
    with attack.arranged():
        line = f"Authorization: Bearer {ann.refresh_token}"
        next_ = with_pair(ann, attack.request("POST", "/api/auth/refresh", here, line))
        body = json.dumps({"current_password": PASSWORD, "new_password": "another horse battery"}).encode()
        line = f"Authorization: Bearer {next_.access_token}"
        last = with_pair(ann, attack.request("POST", "/api/auth/password", here, line, JSON, body=body))
    assert attack.call("GET", "/api/auth/sessions", token=last.access_token).status == 200


def test_a_lock_that_ended_is_followed_by_one_twice_as_long(attack: Attack) -> None:
    ann = attack.member()
    fail(attack, ann.email)
    for seconds in (60, 120, 240, 480, 900, 900):
        attack.sql("UPDATE login_failures SET locked_until = now() WHERE locked_until > now()")
        assert_refused(log_in(attack, ann.email, "wrong", at=address(50 + seconds // 60)), 401, "INVALID_CREDENTIALS")
        assert_locked(log_in(attack, ann.email, at=address(90 + seconds // 60)), seconds)


def test_asking_under_a_lock_makes_it_no_longer(attack: Attack) -> None:
    ann = attack.member()
    fail(attack, ann.email)
    waits = [int(log_in(attack, ann.email, "wrong", at=address(20 + n)).headers["retry-after"]) for n in range(10)]
    assert max(waits) <= 30
    assert waits == sorted(waits, reverse=True)


SPELLINGS: dict[str, Callable[[Account], str]] = {
    "as it is": lambda account: account.email,
    "upper case": lambda account: account.email.upper(),
    "title case": lambda account: account.email.title(),
    "blanks around": lambda account: f"  {account.email}\t",
    "a newline behind": lambda account: account.email + "\r\n",
    "no-break blank": lambda account: "\u00a0" + account.email,
    "full-width": lambda account: "".join(chr(ord(c) + 0xFEE0) for c in account.email),
    "full-width at": lambda account: account.email.replace("@", "\uff20"),
    "long s and more": lambda account: account.email.replace("m", "\u217f"),
    "mathematical letters": lambda account: account.email.replace("e", "\U0001d41e"),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_no_spelling_of_an_email_escapes_its_lock(attack: Attack, spelling: Callable[[Account], str]) -> None:
    ann = attack.member()
    fail(attack, ann.email)
    assert_locked(log_in(attack, spelling(ann), at=address(99)))


def test_the_failures_of_all_spellings_count_together(attack: Attack) -> None:
    ann = attack.member()
    for number, spelling in enumerate(SPELLINGS.values()):
        answer = log_in(attack, spelling(ann), "certainly not this", at=address(number))
        assert_refused(answer, 401, "INVALID_CREDENTIALS")
    assert_locked(log_in(attack, ann.email, at=address(99)))


def test_both_routes_and_both_names_share_the_lock(attack: Attack) -> None:
    ann = attack.member()
    for number in range(5):
        name = ann.username if number % 2 else ann.email
        answer = grant(attack, name, "certainly not this", at=address(number))
        assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")
    fail(attack, ann.email, 5)
    for number, name in enumerate([ann.email, ann.username, ann.username.upper(), f" {ann.username} "]):
        assert_locked(grant(attack, name, at=address(80 + number)))
    assert_locked(log_in(attack, ann.email, at=address(90)))


def test_of_twenty_wrong_logins_at_once_exactly_ten_are_told_so(attack: Attack) -> None:
    ann = attack.member()
    barrier = threading.Barrier(AT_ONCE, timeout=10)

    def guess(number: int) -> Answer:
        barrier.wait()
        return log_in(attack, ann.email, f"wrong number {number}", at=address(number))

    with ThreadPoolExecutor(AT_ONCE) as clients:
        answers = list(clients.map(guess, range(AT_ONCE)))
    assert Counter(answer.status for answer in answers) == {401: 10, 429: 10}
    for answer in answers:
        if answer.status == 429:
            assert_locked(answer)
    assert_locked(log_in(attack, ann.email, at=address(99)))


def test_a_right_guess_among_wrong_ones_is_not_told_behind_the_tenth(attack: Attack) -> None:
    ann = attack.member()
    fail(attack, ann.email, 9)
    barrier = threading.Barrier(AT_ONCE, timeout=10)

    def guess(number: int) -> Answer:
        barrier.wait()
        password = PASSWORD if number == AT_ONCE - 1 else f"wrong number {number}"
        return log_in(attack, ann.email, password, at=address(number + 20))

    with attack.arranged(), ThreadPoolExecutor(AT_ONCE) as clients:
        answers = list(clients.map(guess, range(AT_ONCE)))
    statuses = Counter(answer.status for answer in answers)
    # The right one begins anew to count if it is in time, which is before any of the others.
    assert statuses == ({200: 1, 401: 10, 429: 9} if statuses[200] else {401: 1, 429: 19})


# Lies about the address

LIES: dict[str, Callable[[int], list[str]]] = {
    "an address before": lambda n: [f"X-Forwarded-For: 192.0.2.{n}, {HERE}"],
    "many before": lambda n: [f"X-Forwarded-For: {', '.join(f'192.0.{n}.{m}' for m in range(50))}, {HERE}"],
    "junk before": lambda n: [f"X-Forwarded-For: <junk {n}>, '; --, {HERE}"],
    "nothing before": lambda n: [f"X-Forwarded-For: {',' * n}{HERE}"],
    "a header before": lambda n: [f"X-Forwarded-For: 192.0.2.{n}", f"X-Forwarded-For: {HERE}"],
    "other headers": lambda n: [
        f"X-Forwarded-For: {HERE}",
        *(f"{name}: 192.0.2.{n}" for name in ("X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP")),
        f"Forwarded: for=192.0.2.{n}",
        f"X_Forwarded_For: 192.0.2.{n}",
    ],
    "a port": lambda n: [f"X-Forwarded-For: {HERE}:{1000 + n}"],
    "blanks": lambda n: [f"X-Forwarded-For: {' ' * n}{HERE}{' ' * n}"],
    "tabs": lambda n: ["X-Forwarded-For: " + "\t" * n + HERE],
    "another of the network": lambda n: [f"X-Forwarded-For: {address(n)}"],
    "IPv4 in IPv6": lambda n: [f"X-Forwarded-For: ::ffff:{address(n)}"],
    "IPv6 of one network": lambda n: [f"X-Forwarded-For: 2001:db8:1:2:{n}::1"],
    "IPv6, spelled otherwise": lambda n: ["X-Forwarded-For: 2001:" + "0" * (n % 2) + f"db8:1:2::{n}".upper()],
    "IPv6 with a port": lambda n: [f"X-Forwarded-For: [2001:db8:1:2::{n}]:{1000 + n}"],
    "IPv6 with a zone": lambda n: [f"X-Forwarded-For: fe80::1%eth{n}"],
    "IPv6 with a long zone": lambda n: [f"X-Forwarded-For: fe80::1%{'z' * 500}{n}"],
    "no address": lambda n: [f"X-Forwarded-For: unknown{n}"],
    "a name": lambda n: [f"X-Forwarded-For: host{n}.example.com"],
    "octets too large": lambda n: [f"X-Forwarded-For: 198.51.100.{256 + n}"],
    "octal": lambda n: [f"X-Forwarded-For: 0{300 + n}.063.0144.07"],
    "a hexadecimal number": lambda n: [f"X-Forwarded-For: {3325256711 + n:#x}"],
    "a prefix": lambda n: [f"X-Forwarded-For: 192.0.2.{n}/32"],
    "Arabic digits": lambda n: [f"X-Forwarded-For: 192.0.2.\xb9{n}"],
    "high bytes": lambda n: ["X-Forwarded-For: \xff" + chr(0xC0 + n)],
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_no_lie_about_the_address_escapes_the_count(attack: Attack, lie: Callable[[int], list[str]]) -> None:
    ann = attack.member()
    for number in range(4):
        assert_refused(log_in(attack, ann.email, f"wrong number {number}", *lie(number)), 401, "INVALID_CREDENTIALS")
    # Who was counted as one network has failed four times there, and here soon ten times.
    attack.sql("UPDATE login_failures SET failures = 9 WHERE failures = 4")
    assert_refused(log_in(attack, ann.email, "wrong number 4", *lie(4)), 401, "INVALID_CREDENTIALS")
    assert_locked(log_in(attack, ann.email, PASSWORD, *lie(5)))


@pytest.mark.parametrize("lie", [f"X-Forwarded-For: {ELSEWHERE}", "X-Forwarded-For: ", "X-Nothing: 1"], ids=ascii)
def test_no_lie_about_the_address_locks_anothers_network(attack: Attack, lie: str) -> None:
    """The victim is at HERE: whoever says so before the address that the proxy appends is not there."""
    ann = attack.member()
    for number in range(10):
        line = f"X-Forwarded-For: {HERE}, {ELSEWHERE}"
        answer = log_in(attack, ann.email, f"wrong number {number}", lie, line)
        assert_refused(answer, 401, "INVALID_CREDENTIALS")
    with attack.arranged():
        assert log_in(attack, ann.email, at=HERE).status == 200


@pytest.mark.parametrize(
    "lie",
    [
        lambda n: [f"X-Forwarded-For: 192.0.{n}.1"],
        lambda n: [f"X-Forwarded-For: 2001:db8:{n}::1"],
        lambda n: [f"X-Forwarded-For: 192.0.{n}.1, 192.0.{n}.2, 192.0.{n}.3"],
        lambda n: [f"Forwarded: for=192.0.{n}.1", f"X-Real-IP: 192.0.{n}.1"],
    ],
    ids=["IPv4", "IPv6", "several", "other headers"],
)
def test_without_a_proxy_of_ours_nobody_is_believed(open_attack: Attack, lie: Callable[[int], list[str]]) -> None:
    ann = open_attack.member()
    for number in range(10):
        answer = log_in(open_attack, ann.email, f"wrong number {number}", *lie(number))
        assert_refused(answer, 401, "INVALID_CREDENTIALS")
    open_attack.sql("DELETE FROM rate_counts")
    assert_locked(log_in(open_attack, ann.email, PASSWORD, *lie(10)))


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_without_a_proxy_of_ours_no_rate_is_escaped(open_attack: Attack, name: str) -> None:
    statuses = [
        open_attack.request("POST", "/api/auth/login", f"{name}: 192.0.{number}.1", body=b"").status
        for number in range(31)
    ]
    assert 429 not in statuses[:30]
    assert statuses[30] == 429


# Rates

RATES = {
    "login": ("/api/auth/login", 30),
    "token": ("/api/auth/token", 30),
    "refresh": ("/api/auth/refresh", 60),
    "password": ("/api/auth/password", 10),
    "registration": ("/api/users", 10),
}


def send(attack: Attack, path: str, document: Any, token: str = "", *, at: str = HERE) -> Answer:
    lines = [f"X-Forwarded-For: {at}", *([f"Authorization: Bearer {token}"] if token else [])]
    if path == "/api/auth/token":
        return attack.request("POST", path, FORM, *lines, body=urlencode(document).encode())
    return attack.request("POST", path, JSON, *lines, body=json.dumps(document).encode())


@pytest.mark.parametrize(("path", "limit"), RATES.values(), ids=RATES.keys())
def test_a_rate_counts_down_and_then_refuses_what_is_right(attack: Attack, path: str, limit: int) -> None:
    ann = attack.signed_in()
    right: dict[str, Any] = {
        "/api/auth/login": {"email": ann.email, "password": PASSWORD},
        "/api/auth/token": {"grant_type": "password", "username": ann.username, "password": PASSWORD},
        "/api/auth/password": {"current_password": PASSWORD, "new_password": "another horse battery"},
    }.get(path, {"username": f"one.more.{ann.id}", "email": f"{ann.id}@example.com", "password": "a fine password"})
    token = {"/api/auth/refresh": ann.refresh_token, "/api/auth/password": ann.access_token}.get(path, "")
    forget(attack)
    for number in range(limit):
        answer = send(attack, path, {})
        assert answer.status in (400, 401), answer
        assert (answer.headers["ratelimit-limit"], answer.headers["ratelimit-remaining"]) == (
            str(limit),
            str(limit - number - 1),
        )
        assert 1 <= int(answer.headers["ratelimit-reset"]) <= 60
    for _ in range(3):
        answer = send(attack, path, right, token)
        assert_refused(answer, 429, "RATE_LIMITED")
        assert answer.headers["ratelimit-remaining"] == "0"
        assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert attack.call("GET", "/api/auth/me", token=ann.access_token).status == 200
    with attack.arranged():
        assert send(attack, path, right, token, at=ELSEWHERE).status in (200, 201)


def test_an_account_has_ten_logins_a_minute_from_one_address_right_or_wrong(attack: Attack) -> None:
    ann = attack.member()
    with attack.arranged():
        statuses = [log_in(attack, ann.email, PASSWORD if n % 5 == 4 else "wrong").status for n in range(11)]
    assert statuses == [401, 401, 401, 401, 200] * 2 + [429]
    with attack.arranged():
        assert log_in(attack, ann.email, at=address(100)).status == 200


@pytest.mark.parametrize("name", ["X-RateLimit-Bypass", "X-Request-ID", "X-Forwarded-Host", "Cookie", "User-Agent"])
def test_no_header_buys_more_requests(attack: Attack, name: str) -> None:
    here = f"X-Forwarded-For: {HERE}"
    statuses = [
        attack.request("POST", "/api/auth/password", here, f"{name}: value-of-its-own-{n}").status for n in range(11)
    ]
    assert statuses == [401] * 10 + [429]


@pytest.mark.parametrize("target", ["/api/users?{}", "/api/users/?{}"], ids=["plain", "slash"])
def test_no_spelling_of_the_path_buys_more_requests(attack: Attack, target: str) -> None:
    statuses = [
        attack.request("POST", target.format(f"x={n}"), JSON, f"X-Forwarded-For: {HERE}", body=b"{}").status
        for n in range(11)
    ]
    assert statuses == [400] * 10 + [429]

"""A database that refuses, hangs, and comes back: what clients are told meanwhile, and how soon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from tests.faults.database import Database
from tests.support.members import PASSWORD, Member
from tests.support.processes import PROGRAMS, Running, environment, running, unmeasured, wait_until
from tests.support.sockets import Answer, ask

SECRET_KEY = "e2e-0123456789-abcdefghijklmnopqrstuvwxyz"
STATEMENT_SECONDS = 1.0
REFUSED_SECONDS, LATE_SECONDS, RECOVERY_SECONDS = 0.25, 2.0, 2.0
TRIES = 3
"""Of which the fastest counts: the machine has other work."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(tmp_path_factory.mktemp("faults"))
    yield database
    database.stop()


@pytest.fixture(scope="module")
def server(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    env = environment(
        APP_ENV="production",
        SECRET_KEY=SECRET_KEY,
        DATABASE_URL=database.url,
        STATEMENT_SECONDS=str(STATEMENT_SECONDS),
    )
    folder = tmp_path_factory.mktemp("server")
    with running(PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", folder=folder, env=unmeasured(env)) as server:
        yield server


@pytest.fixture(scope="module")
def member(server: Running) -> Member:
    return Member(server)


def answers(server: Running, member: Member) -> dict[str, tuple[Answer, float]]:
    """Return what is answered to each kind of request, and after how many seconds."""
    credentials = {"email": member.email, "password": PASSWORD}
    asked = {
        "a look-up": ("GET", "/api/auth/me", None, member.access_token),
        "a list": ("GET", "/api/posts/", None, ""),
        "a post": ("POST", "/api/posts/", {"title": "a title", "body": "a body"}, member.access_token),
        "a login": ("POST", "/api/auth/login", credentials, ""),
        "a refresh": ("POST", "/api/auth/refresh", None, member.refresh_token),
        "readiness": ("GET", "/readyz", None, ""),
    }
    found = {}
    for name, (method, path, document, token) in asked.items():
        began = time.monotonic()
        answer = ask(server, method, path, document, token)
        found[name] = answer, time.monotonic() - began
    return found


def assert_unavailable(answer: Answer) -> None:
    """Nothing is told on a guess: neither that a token is bad, nor that something was done."""
    assert (answer.status, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert int(answer.headers["retry-after"]) >= 1


def recovers(server: Running, member: Member, since: float) -> None:
    """Wait until the service answers again, which takes no longer than it may."""
    wait_until(lambda: ask(server, "GET", "/api/auth/me", token=member.access_token).status == 200)
    assert time.monotonic() - since < RECOVERY_SECONDS
    wait_until(lambda: ask(server, "GET", "/readyz").status == 200)
    assert time.monotonic() - since < RECOVERY_SECONDS + 1  # the answer is kept for a second


def test_a_database_that_refuses_is_said_at_once(server: Running, member: Member, database: Database) -> None:
    database.kill()
    try:
        tries = [answers(server, member) for _ in range(TRIES)]
        assert ask(server, "GET", "/livez").status == 200
    finally:
        database.start()
    back_at = time.monotonic()
    recovers(server, member, back_at)
    for name in tries[0]:
        for found in tries:
            assert_unavailable(found[name][0])
        assert min(found[name][1] for found in tries) < REFUSED_SECONDS, name


def test_a_database_that_hangs_is_said_in_time(server: Running, member: Member, database: Database) -> None:
    assert ask(server, "GET", "/api/auth/me", token=member.access_token).status == 200
    database.freeze()
    try:
        found = answers(server, member)
        assert ask(server, "GET", "/livez").status == 200
    finally:
        database.thaw()
    back_at = time.monotonic()
    recovers(server, member, back_at)
    for name, (answer, seconds) in found.items():
        assert_unavailable(answer)
        assert seconds < STATEMENT_SECONDS + 1 + LATE_SECONDS, name  # the driver's limit is a second above the server's


def test_connections_that_are_ended_are_replaced_unnoticed(server: Running, member: Member, database: Database) -> None:
    for _ in range(3):
        assert asyncio.run(database.reset()) >= 1
        assert ask(server, "GET", "/api/auth/me", token=member.access_token).status == 200
        asyncio.run(database.reset())
        assert ask(server, "POST", "/api/posts/", {"title": "t", "body": "b"}, member.access_token).status == 201

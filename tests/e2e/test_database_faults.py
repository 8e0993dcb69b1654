"""A database that refuses, hangs, and comes back: what clients are told meanwhile, and how soon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from service.context import READY_SECONDS
from tests.faults.database import Database
from tests.support.black_hole import through_black_hole
from tests.support.members import PASSWORD, Member
from tests.support.processes import PROGRAMS, Running, environment, running, unmeasured, wait_until
from tests.support.sockets import Answer, ask

SECRET_KEY = "e2e-0123456789-abcdefghijklmnopqrstuvwxyz"
STATEMENT_SECONDS = 1.0
CONNECT_SECONDS = 2.0
TIME_OUT_SECONDS = max(STATEMENT_SECONDS + 1, CONNECT_SECONDS)  # the driver's limit is a second above the server's
REFUSED_SECONDS, LATE_SECONDS, RECOVERY_SECONDS = 0.25, 2.0, 2.0
TRIES = 3
"""Of which the fastest counts: the machine has other work."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(tmp_path_factory.mktemp("faults"))
    yield database
    database.stop()


@contextmanager
def serving(url: str, folder: Path) -> Iterator[Running]:
    env = environment(
        APP_ENV="production",
        SECRET_KEY=SECRET_KEY,
        DATABASE_URL=url,
        STATEMENT_SECONDS=str(STATEMENT_SECONDS),
        CONNECT_SECONDS=str(CONNECT_SECONDS),
    )
    with running(PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", folder=folder, env=unmeasured(env)) as server:
        yield server


@pytest.fixture(scope="module")
def server(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(database.url, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def member(server: Running) -> Member:
    return Member(server)


def answers(server: Running, member: Member, *, at_once: int) -> dict[str, tuple[Answer, float]]:
    """Return what is answered to each kind of request, and after how many seconds."""

    def timed(asked: tuple[str, str, object, str]) -> tuple[Answer, float]:
        began = time.monotonic()
        return ask(server, *asked), time.monotonic() - began

    credentials = {"email": member.email, "password": PASSWORD}
    asked = {
        "a look-up": ("GET", "/api/auth/me", None, member.access_token),
        "a list": ("GET", "/api/posts/", None, ""),
        "a post": ("POST", "/api/posts/", {"title": "a title", "body": "a body"}, member.access_token),
        "a login": ("POST", "/api/auth/login", credentials, ""),
        "a refresh": ("POST", "/api/auth/refresh", None, member.refresh_token),
        "readiness": ("GET", "/readyz", None, ""),
    }
    with ThreadPoolExecutor(at_once) as threads:
        return dict(zip(asked, threads.map(timed, asked.values()), strict=True))


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
        tries = [answers(server, member, at_once=1) for _ in range(TRIES)]
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
    hang_and_come_back(server, member, database.freeze, database.thaw)


def test_a_network_that_swallows_everything_is_said_in_time(database: Database, tmp_path: Path) -> None:
    """Connections stay open, new ones are let in, and nothing comes back."""
    with through_black_hole(database.url) as (hole, url), serving(url, tmp_path) as server:
        hang_and_come_back(server, Member(server), hole.open, hole.shut)


def hang_and_come_back(
    server: Running, member: Member, hang: Callable[[], None], come_back: Callable[[], None]
) -> None:
    assert ask(server, "GET", "/api/auth/me", token=member.access_token).status == 200
    hang()
    time.sleep(READY_SECONDS)  # what readiness has been asked holds for so long
    try:
        found = answers(server, member, at_once=6)
        assert ask(server, "GET", "/livez").status == 200
    finally:
        come_back()
    back_at = time.monotonic()
    recovers(server, member, back_at)
    for name, (answer, seconds) in found.items():
        assert_unavailable(answer)
        assert seconds < TIME_OUT_SECONDS + LATE_SECONDS, name


def test_connections_that_are_ended_are_replaced_unnoticed(server: Running, member: Member, database: Database) -> None:
    for _ in range(3):
        assert asyncio.run(database.reset()) >= 1
        assert ask(server, "GET", "/api/auth/me", token=member.access_token).status == 200
        asyncio.run(database.reset())
        assert ask(server, "POST", "/api/posts/", {"title": "t", "body": "b"}, member.access_token).status == 201

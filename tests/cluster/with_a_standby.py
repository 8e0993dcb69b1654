"""Reads from a standby: nobody sees less than they have written, and nothing is believed that has been revoked."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from service.embedded import Cluster
from tests.cluster.conftest import SECRET_KEY, ask_server
from tests.cluster.servers import NEW, OLD, Pooler, pooled, standby_of
from tests.support.members import PASSWORD, Member
from tests.support.postgres import freeze, thaw
from tests.support.processes import PROGRAMS, Running, environment, running, wait_until
from tests.support.sockets import ask
from tests.support.steady import asking, get

CLIENTS, ROUNDS, WORKERS = 4, 12, 2
LONG_SECONDS = 1.0
"""Longer than it takes to see that a standby does not answer."""


def answered_by(server: Running, which: str) -> float:
    """Return how many reads that were meant for the standby this server has answered."""
    said = ask(server, "GET", "/metrics").body.decode()
    return sum(map(float, re.findall(rf'^postern_replica_reads_total{{server="{which}"}} (\S+)$', said, re.MULTILINE)))


@contextmanager
def behind(standby: Cluster) -> Iterator[None]:
    """Have the standby stay where it is."""
    ask_server(standby, "SELECT pg_wal_replay_pause()")
    wait_until(lambda: ask_server(standby, "SELECT pg_get_wal_replay_pause_state()") == "paused")
    try:
        yield
    finally:
        ask_server(standby, "SELECT pg_wal_replay_resume()")


def is_asked_again(server: Running) -> bool:
    """Read, and tell whether the standby has answered."""
    before = answered_by(server, "standby")
    ask(server, "GET", "/api/posts/")
    return answered_by(server, "standby") > before


def test_each_sees_what_they_have_written_at_once(server: Running) -> None:
    """On a connection of its own each, so that another process may answer, and without a token, too."""

    def write_and_read(member: Member) -> None:
        token = member.access_token
        for number in range(ROUNDS):
            post = {"title": f"number {number}", "body": "a body"}
            path = ask(server, "POST", "/api/posts/", post, token).headers["location"]
            assert ask(server, "GET", path).json()["title"] == post["title"]
            newest = ask(server, "GET", f"/api/users/{member.id}/posts?per_page=1", token=token).json()
            assert newest["posts"][0]["title"] == post["title"]
            assert ask(server, "PATCH", path, {"title": "changed"}, token).status == 200
            assert ask(server, "GET", path).json()["title"] == "changed"
            assert ask(server, "POST", f"{path}/comments", {"body": "a comment"}, token).status == 201
            assert len(ask(server, "GET", f"{path}/comments").json()["comments"]) == 1
            assert ask(server, "DELETE", path, token=token).status == 204
            assert ask(server, "GET", path).status == 404

    before = answered_by(server, "standby")
    with ThreadPoolExecutor(CLIENTS) as threads:
        for done in [threads.submit(write_and_read, Member(server)) for _ in range(CLIENTS)]:
            done.result()

    assert answered_by(server, "standby") - before > CLIENTS * ROUNDS  # of five times as many


def test_a_standby_that_is_behind_is_not_believed(server: Running, standby: Cluster) -> None:
    member = Member(server)
    token = member.access_token
    with behind(standby):
        path = ask(server, "POST", "/api/posts/", {"title": "a title", "body": "a body"}, token).headers["location"]
        assert ask(server, "GET", path).status == 200
        assert ask(server, "GET", f"/api/users/{member.id}", token=token).status == 200

        again = ask(server, "POST", "/api/auth/login", {"email": member.email, "password": PASSWORD}).json()
        pair = ask(server, "POST", "/api/auth/refresh", token=again["refresh_token"]).json()
        assert ask(server, "GET", "/api/auth/me", token=pair["access_token"]).status == 200
        assert ask(server, "DELETE", "/api/auth/logout", token=token).status in (200, 204)
        assert ask(server, "GET", "/api/auth/me", token=token).status == 401
        assert ask(server, "GET", "/api/users/", token=token).status == 401
        assert ask(server, "POST", "/api/auth/refresh", token=member.refresh_token).status == 401
    wait_until(lambda: is_asked_again(server))


def test_a_standby_that_hangs_is_gone_around(server: Running, standby: Cluster) -> None:
    """Nobody is told, and who comes after it hangs does not have to wait."""
    Member(server)
    with asking(server.port, get("/api/posts/"), a_second=50) as kept:
        wait_until(lambda: kept.answered > 10)
        freeze(standby)
        try:
            began = time.monotonic()
            wait_until(lambda: time.monotonic() - began > 2)
        finally:
            thaw(standby)
        before = kept.answered
        wait_until(lambda: kept.answered > before + 10)
    assert kept.failures == []
    assert sum(seconds > LONG_SECONDS for seconds in kept.seconds) <= WORKERS  # what was being read as it came to hang
    wait_until(lambda: is_asked_again(server))


def test_a_standby_that_stops_is_gone_around(server: Running, standby: Cluster) -> None:
    with asking(server.port, get("/api/posts/"), a_second=50) as kept:
        wait_until(lambda: kept.answered > 10)
        standby.stop()
        try:
            before = kept.answered
            wait_until(lambda: kept.answered > before + 50)
        finally:
            standby.start()
        before = kept.answered
        wait_until(lambda: kept.answered > before + 10)
    assert kept.failures == []
    wait_until(lambda: is_asked_again(server))


@pytest.mark.parametrize("pooler", [OLD, NEW], ids=[OLD.release, NEW.release])
def test_of_two_standbys_behind_one_name_each_is_as_far_as_it_is(
    pooler: Pooler, primary: Cluster, standby: Cluster, place: Path, tmp_path: Path
) -> None:
    """PgBouncer may take another one for each transaction."""

    def write_and_read(member: Member) -> None:
        for _ in range(ROUNDS):
            post = {"title": "a title", "body": "a body"}
            made = ask(server, "POST", "/api/posts/", post, member.access_token)
            assert ask(server, "GET", made.headers["location"]).status == 200

    folder = place / f"two-{pooler.release}"
    with ExitStack() as stack:
        other = stack.enter_context(standby_of(primary, place / f"other-{pooler.release}"))
        urls = stack.enter_context(pooled(pooler, folder, [primary], [standby, other]))
        addresses = {"DATABASE_URL": urls[0], "DATABASE_RO_URL": urls[1], "DB_POOLER": pooler.setting}
        env = environment(APP_ENV="production", SECRET_KEY=SECRET_KEY, **addresses)
        command = (PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0")
        server = stack.enter_context(running(*command, folder=tmp_path, env=env))
        stack.enter_context(asking(server.port, get("/api/posts/"), a_second=50))
        stack.enter_context(behind(other))
        with ThreadPoolExecutor(CLIENTS) as threads:
            for done in [threads.submit(write_and_read, Member(server)) for _ in range(CLIENTS)]:
                done.result()

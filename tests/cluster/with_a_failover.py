"""The primary is lost and its standby takes over: what was acknowledged is there, and writing goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from service.embedded import Cluster
from tests.cluster.conftest import SECRET_KEY, ask_server
from tests.cluster.servers import folder_of, standby_of
from tests.conftest import migrate
from tests.faults.database import OURS
from tests.faults.writers import Written, writing
from tests.support import postgres
from tests.support.members import Member
from tests.support.processes import PROGRAMS, environment, running, wait_until
from tests.support.sockets import Answer, ask

RECOVERY_SECONDS = 2.0
CLIENTS, ENOUGH = 8, 50
SERVE = (PROGRAMS / "postern", "run", "--workers", "2", "--bind", "127.0.0.1:0")


@dataclass(frozen=True)
class Pair:
    """Two servers that hold the same: no commit is acknowledged before the second has it, too."""

    primary: Cluster
    standby: Cluster


@pytest.fixture
def pair(place: Path) -> Iterator[Pair]:
    folder = place / f"pair{time.monotonic_ns()}"
    folder.mkdir()
    with Cluster(folder / "primary") as primary:
        primary.ensure_database()
        migrate(primary.url())
        with standby_of(primary, folder / "standby") as standby:
            ask_server(primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
            ask_server(primary, "SELECT pg_reload_conf()")
            wait_until(lambda: ask_server(primary, "SELECT sync_state FROM pg_stat_replication") == "sync")
            yield Pair(primary, standby)


def address(pair: Pair, *parameters: tuple[str, str]) -> str:
    """Return the database's URL with these parameters."""
    parts = urlsplit(pair.primary.url(scheme="postgresql"))
    return parts._replace(query=urlencode(parameters, safe="/:")).geturl()


def test_a_promoted_standby_is_found_and_has_all_that_was_acknowledged(pair: Pair, tmp_path: Path) -> None:
    """Both are named in DATABASE_URL, and of the two the one is taken that can be written to."""
    hosts = [("host", f"{folder_of(cluster)}:5432") for cluster in (pair.primary, pair.standby)]
    url = address(pair, *hosts, ("target_session_attrs", "read-write"))
    env = environment(APP_ENV="production", SECRET_KEY=SECRET_KEY, DATABASE_URL=url)
    with running(*SERVE, folder=tmp_path, env=env) as server:
        written = Written()
        with writing(server, written):
            wait_until(lambda: len(written.keyed) > ENOUGH)
            postgres.kill(pair.primary)
            ask_server(pair.standby, "SELECT pg_promote()")
            promoted_at = time.monotonic()
            wait_until(lambda: written.answered_at > promoted_at)
            assert written.answered_at - promoted_at < RECOVERY_SECONDS
            before = len(written.keyed)
            wait_until(lambda: len(written.keyed) > before + ENOUGH)
        assert ask(server, "GET", "/readyz").status == 200

    titles = ask_server(pair.standby, "SELECT array_agg(title) FROM posts")
    assert written.keyed | written.plain <= set(titles)
    assert len(titles) == len(set(titles))
    assert set(written.refused) <= {"503"}


def test_an_address_that_leads_to_a_standby_for_a_while_is_left_at_the_first_refusal(
    pair: Pair, tmp_path: Path
) -> None:
    """As happens in a switch-over: one write is told that it can't (25006), and no other connection is tried on."""
    address_of_both = tmp_path / "current"
    address_of_both.symlink_to(folder_of(pair.primary))
    url = address(pair, ("host", str(address_of_both)), ("port", "5432"))
    env = environment(APP_ENV="production", SECRET_KEY=SECRET_KEY, DATABASE_URL=url)
    with running(*SERVE[:2], *SERVE[4:], folder=tmp_path, env=env) as server:
        member = Member(server)

        def write(number: int) -> Answer:
            return ask(server, "POST", "/api/posts/", {"title": str(number), "body": "b"}, member.access_token)

        def read(number: int) -> Answer:
            return ask(server, "GET", f"/api/posts/?page={number + 1}")

        lead_to(address_of_both, pair.standby)
        ask_server(pair.primary, f"SELECT count(pg_terminate_backend(pid)) {OURS}")
        with ThreadPoolExecutor(CLIENTS) as threads:
            assert {answer.status for answer in threads.map(write, range(CLIENTS))} == {503}
        with ThreadPoolExecutor(CLIENTS) as threads:  # reading goes on, over several connections
            assert {answer.status for answer in threads.map(read, range(CLIENTS))} == {200}
        lead_to(address_of_both, pair.primary)
        wait_until(lambda: write(0).status == 503)  # by one of these

        with ThreadPoolExecutor(CLIENTS) as threads:
            assert {answer.status for answer in threads.map(write, range(CLIENTS))} == {201}


def lead_to(name: Path, cluster: Cluster) -> None:
    """Have an address lead to another server, at once."""
    new = name.with_suffix(".new")
    new.symlink_to(folder_of(cluster))
    new.rename(name)


def test_a_primary_that_comes_back_as_a_standby_of_its_own_past_is_not_believed(pair: Pair, tmp_path: Path) -> None:
    """It has what the promoted one never got, and positions in its log that the other will come to later."""
    lost, only_there = pair.primary, "of a past that is no more"
    pair.standby.stop()
    ask_server(lost, "ALTER SYSTEM RESET synchronous_standby_names; ")
    ask_server(lost, "SELECT pg_reload_conf()")
    env = environment(APP_ENV="production", SECRET_KEY=SECRET_KEY)
    with running(*SERVE, folder=tmp_path, env=env | {"DATABASE_URL": lost.url()}) as server:
        token = Member(server).access_token
        for _ in range(ENOUGH):
            assert ask(server, "POST", "/api/posts/", {"title": only_there, "body": "b" * 1000}, token).status == 201
    postgres.kill(lost)
    lost.stop()
    pair.standby.start()
    ask_server(pair.standby, "SELECT pg_promote()")
    (lost.data / "cluster" / "standby.signal").touch()
    os.chown(lost.data / "cluster" / "standby.signal", (lost.data / "cluster").stat().st_uid, -1)
    lost.start()

    addresses = {"DATABASE_URL": pair.standby.url(), "DATABASE_RO_URL": lost.url()}
    with running(*SERVE, folder=tmp_path, env=env | addresses) as server:
        token = Member(server).access_token
        for _ in range(5):
            made = ask(server, "POST", "/api/posts/", {"title": "of this one", "body": "b"}, token)
            assert ask(server, "GET", made.headers["location"]).status == 200
        titles = {post["title"] for post in ask(server, "GET", "/api/posts/?per_page=100").json()["posts"]}
        assert titles == {"of this one"}
        assert "the standby is of no use, the primary is asked: OtherHistory" in server.output()

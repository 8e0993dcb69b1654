"""Several processes on one socket: what becomes of the service when one of them ends, or their supervisor does."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from os import kill
from pathlib import Path
from typing import Any

import pytest
from tests.server.engine import assert_said_nothing_bad, serving
from tests.support.processes import Running, children_of, lives, wait_until
from tests.support.sockets import Connection, head, is_refused
from tests.support.steady import asking, get


@contextmanager
def supervised(folder: Path, app: str = "app", **settings: Any) -> Iterator[Running]:
    """Start two processes under a supervisor."""
    with serving(
        folder,
        "uvloop",
        "--workers",
        "2",
        app=f"tests.server.apps:{app}",
        last_request_seconds=1,
        **settings,
    ) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with supervised(tmp_path) as server:
        yield server


def seen(server: Running, asked: int = 40) -> dict[int, str]:
    """Return the processes that answer, with their numbers, when so many clients come at once."""
    clients = [Connection(server) for _ in range(asked)]
    try:
        for client in clients:
            client.send(head("GET", "/who"))
        return dict(client.answer().json() for client in clients)
    finally:
        for client in clients:
            client.__exit__()


def workers_of(server: Running) -> set[int]:
    return set(children_of(server.process.pid))


def both_serve(server: Running) -> bool:
    return len(seen(server)) == 2


def test_each_process_has_a_number_of_its_own_and_gets_clients(server: Running) -> None:
    wait_until(lambda: sorted(seen(server).values()) == ["0", "1"])
    wait_until(lambda: set(seen(server)) == workers_of(server))


def test_a_process_that_is_killed_is_replaced_while_the_other_serves(server: Running) -> None:
    before = workers_of(server)
    killed = min(before)

    with asking(server.port, get("/hello"), a_second=100) as kept:
        kill(killed, signal.SIGKILL)
        wait_until(lambda: both_serve(server) and killed not in seen(server))

    assert kept.answered > len(kept.failures) <= 8  # its clients at that moment
    assert len(workers_of(server)) == 2
    wait_until(
        lambda: sorted(seen(server).values()) == ["0", "1"]
    )  # now and then one of them gets all that come at once
    assert f"process {killed} was ended by SIGKILL: the next one starts in 0 s" in server.output()


def test_a_process_that_hangs_is_killed_and_replaced(tmp_path: Path) -> None:
    with supervised(tmp_path, hung_timeout=2) as server:
        before = workers_of(server)
        hung = min(before)
        kill(hung, signal.SIGSTOP)
        wait_until(lambda: hung not in workers_of(server))
        wait_until(lambda: both_serve(server))
        assert f"process {hung} has not been heard of for 2 s, and is killed" in server.output()
        assert max(before) in workers_of(server)


def test_a_machine_that_stood_still_is_no_reason_to_kill(tmp_path: Path) -> None:
    """All are stopped and continued, the supervisor too, as when a container is frozen."""
    with supervised(tmp_path, hung_timeout=2) as server:
        before = workers_of(server)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for process in (server.process.pid, *before):
                kill(process, number)
            time.sleep(3)  # longer than it would take to be killed: nothing is to happen
        assert workers_of(server) == before
        assert_said_nothing_bad(server)


def test_nobody_is_left_when_the_supervisor_is_killed(server: Running) -> None:
    workers = workers_of(server)
    with Connection(server) as waiting:
        waiting.send(head("GET", "/hold"))
        wait_until(lambda: "begun" in server.output())
        server.process.kill()
        wait_until(lambda: not any(map(lives, workers)), 1)
    assert len(workers) == 2


def test_who_ends_young_again_and_again_is_waited_for_longer_each_time(tmp_path: Path) -> None:
    with supervised(tmp_path, app="shy") as server:
        (tmp_path / "shy").touch()
        kill(min(workers_of(server)), signal.SIGKILL)
        wait_until(lambda: "ended with status 1: the next one starts in 1 s" in server.output())
        assert len(seen(server)) == 1
        (tmp_path / "shy").unlink()
        wait_until(lambda: both_serve(server))
    pauses = [line.rpartition(" in ")[2] for line in server.output().splitlines() if "the next one starts" in line]
    assert pauses[-3:] == ["0 s", "0.5 s", "1 s"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_what_is_under_way_ends_before_the_service_does(tmp_path: Path, number: signal.Signals) -> None:
    with supervised(tmp_path, graceful_timeout=20) as server:
        workers = workers_of(server)
        with Connection(server) as busy:
            busy.send(head("POST", "/echo", "Content-Length: 10") + b"12345")
            wait_until(lambda: "begun" in server.output())
            server.process.send_signal(number)
            wait_until(lambda: is_refused(server))
            answer = busy.send(b"67890").answer()
        assert (answer.status, answer.body, answer.headers["connection"]) == (200, b"1234567890", "close")
        assert server.process.wait(10) == 0
        assert not any(map(lives, workers))
        assert_said_nothing_bad(server)


def test_who_does_not_stop_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path, app="deaf") as server:
        workers = workers_of(server)
        assert server.stop(limit_seconds=30) == 1
        assert not any(map(lives, workers))
    assert server.output().count("does not stop, and is killed") == 2


def test_a_hangup_replaces_all_processes_and_nobody_notices(tmp_path: Path) -> None:
    with supervised(tmp_path, graceful_timeout=20) as server:
        before = workers_of(server)
        with asking(server.port, get("/hello")) as kept:
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(after := workers_of(server)) == 2 and not after & before, 30)
        assert kept.failures == []
        assert kept.answered > kept.connections > 8
        assert server.stop() == 0
        assert_said_nothing_bad(server)


def test_a_process_that_can_not_start_replaces_nobody(tmp_path: Path) -> None:
    with supervised(tmp_path, app="shy") as server:
        before = workers_of(server)
        (tmp_path / "shy").touch()
        with asking(server.port, get("/hello"), a_second=50) as kept:
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: server.output().count("before it served: it replaces nobody") == 2)
        assert kept.failures == []
        assert workers_of(server) == before


def test_a_process_that_has_had_enough_requests_is_replaced_and_nobody_notices(tmp_path: Path) -> None:
    with supervised(tmp_path, max_requests=100, graceful_timeout=20) as server:
        before = workers_of(server)
        with asking(server.port, get("/hello"), a_second=150) as kept:
            wait_until(lambda: not workers_of(server) & before, 30)
        assert kept.failures == []
        assert server.stop() == 0
        assert_said_nothing_bad(server)

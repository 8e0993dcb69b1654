"""Thousands of connections that do nothing: what they cost, and that a server goes on, and ends, with them."""

from __future__ import annotations

import resource
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.server.engine import Census, assert_said_nothing_bad, base, resident_kib, serving, settles
from tests.support.processes import Running
from tests.support.sockets import ask, head

WANTED, NEEDED = 5000, 1000
AT_ONCE = 250
OTHERS = 500
"""Descriptors that the test and the server have beside."""
KIB_EACH = 15


@pytest.fixture(scope="module")
def size() -> Iterator[int]:
    """How many connections fit into this process; the server may have as many descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED + OTHERS if hard == resource.RLIM_INFINITY else min(hard, WANTED + OTHERS)
    assert most - OTHERS >= NEEDED, f"the hard limit of open files is {hard}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    yield most - OTHERS
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Connections that have asked once, and are kept open."""

    def __init__(self, server: Running, size: int) -> None:
        self.sockets: list[socket.socket] = []
        while len(self.sockets) < size:
            self._come(server, min(AT_ONCE, size - len(self.sockets)))

    def _come(self, server: Running, count: int) -> None:
        here = len(self.sockets)
        for _ in range(count):
            self.sockets.append(socket.create_connection(("127.0.0.1", server.port), 10))
            self.sockets[-1].sendall(head("GET", "/hello"))
        for arrived in self.sockets[here:]:
            assert arrived.recv(1000).endswith(b"hello")

    def leave(self, count: int) -> None:
        """Close so many of them."""
        for left in self.sockets[:count]:
            left.close()
        del self.sockets[:count]

    def how_many_were_told(self) -> int:
        """Count those whose connection the server has closed."""
        poller = select.poll()
        for one in self.sockets:
            poller.register(one, select.POLLIN)
        return sum(1 for _ in poller.poll(0))


@dataclass(frozen=True)
class Seen:
    """What came of it."""

    server: Running
    size: int
    grown_kib: int
    held: Census
    at_first: Census
    at_last: Census
    seconds_for_a_new_client: float
    status: int
    stop_seconds: float
    stayed: int
    told: int


@pytest.fixture(scope="module")
def seen(size: int, loop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder: Path = tmp_path_factory.mktemp("crowd")
    with serving(folder, loop, keep_alive_timeout=600, graceful_timeout=30) as server:
        Crowd(server, AT_ONCE).leave(AT_ONCE)
        at_first = base(server)
        before = resident_kib(server)
        crowd = Crowd(server, size)
        try:
            began = time.monotonic()
            assert ask(server, "GET", "/hello").status == 200
            seconds = time.monotonic() - began
            grown, held = resident_kib(server) - before, base(server)
            crowd.leave(size // 2)
            stayed = len(crowd.sockets)
            settles(server, at_first._replace(descriptors=at_first.descriptors + stayed))
            at_last = base(server)
            began = time.monotonic()
            status = server.stop()
            stop_seconds = time.monotonic() - began
            told = crowd.how_many_were_told()
        finally:
            crowd.leave(size)
        yield Seen(server, size, grown, held, at_first, at_last, seconds, status, stop_seconds, stayed, told)


def test_all_of_them_are_held(seen: Seen) -> None:
    assert seen.held.descriptors == seen.at_first.descriptors + seen.size


def test_a_new_client_is_answered_within_a_second(seen: Seen) -> None:
    assert seen.seconds_for_a_new_client < 1


def test_an_idle_connection_costs_little_memory(seen: Seen) -> None:
    assert seen.grown_kib / seen.size < KIB_EACH


def test_an_idle_connection_has_no_task(seen: Seen) -> None:
    assert seen.held.tasks == seen.at_first.tasks


def test_those_that_have_left_leave_nothing_behind(seen: Seen) -> None:
    assert seen.at_last == seen.at_first._replace(descriptors=seen.at_first.descriptors + seen.stayed)


def test_those_that_have_stayed_hold_up_no_stop(seen: Seen) -> None:
    assert (seen.status, seen.told) == (0, seen.stayed)
    assert seen.stop_seconds < 10


def test_the_stop_is_a_quiet_one(seen: Seen) -> None:
    assert_said_nothing_bad(seen.server)

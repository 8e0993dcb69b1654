"""Clients that take too long: for a head, for a body, to read an answer, to ask again."""

from __future__ import annotations

import contextlib
import re
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from tests.server.clients import SMALL
from tests.server.engine import assert_said_nothing_bad, base, serving, settles
from tests.support.processes import LIMIT_SECONDS, Running
from tests.support.sockets import Connection, head

SECONDS = 0.4
SOON_SECONDS = 5
DRIBBLE_SECONDS = 0.05
HALF_A_HEAD = b"GET /hello HTTP/1.1\r\nHost: a\r\nX:"
HALF_A_BODY = head("POST", "/echo", "Content-Length: 1000") + b"12345"


@pytest.fixture(scope="module")
def server(loop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that waits for less than half a second, whatever it waits for."""
    folder = tmp_path_factory.mktemp("deadlines")
    started = serving(
        folder,
        loop,
        head_seconds=SECONDS,
        body_seconds=SECONDS,
        stall_seconds=SECONDS,
        keep_alive_timeout=SECONDS,
    )
    with started as server:
        yield server
        assert_said_nothing_bad(server)


# Clients that do not send


@dataclass
class Late:
    """A client that sends something, and then nothing more, or a byte now and then; and what became of it."""

    sent: bytes
    statuses: list[int]
    dribbles: bool = False
    received: bytes = field(default=b"", init=False)
    seconds: float = field(default=0, init=False)


LATE = {
    "a head that stops": Late(HALF_A_HEAD, [408]),
    "a head that dribbles in": Late(HALF_A_HEAD, [408], dribbles=True),
    "a head behind a request": Late(head("GET", "/hello") + HALF_A_HEAD, [200, 408]),
    "a head behind an empty line": Late(b"\r\n" + HALF_A_HEAD, [408]),
    "a body that stops": Late(HALF_A_BODY, [408]),
    "a body that dribbles in": Late(HALF_A_BODY, [408], dribbles=True),
    "a body behind a request": Late(head("GET", "/hello") + HALF_A_BODY, [200, 408]),
    "a chunk that stops": Late(head("POST", "/echo", "Transfer-Encoding: chunked") + b"a\r\n123", [408]),
    "no next request": Late(head("GET", "/hello"), [200]),
    "no request": Late(b"", []),
    "an empty line and no request": Late(b"\r\n", []),
}


@pytest.fixture(scope="module")
def ended(server: Running) -> dict[str, Late]:
    """What became of all of them, who came at the same time."""
    clients = {name: Late(late.sent, late.statuses, late.dribbles) for name, late in LATE.items()}
    with contextlib.ExitStack() as stack:
        waiting = [(stack.enter_context(Connection(server)), late) for late in clients.values()]
        for connection, late in waiting:
            connection.send(late.sent)
        began = time.monotonic()
        while waiting and time.monotonic() < began + LIMIT_SECONDS:
            waiting = [(connection, late) for connection, late in waiting if goes_on(connection, late)]
            for _, late in waiting:
                late.seconds = time.monotonic() - began
    return clients


def goes_on(connection: Connection, late: Late) -> bool:
    """Look for a moment what has come; tell whether the server has not yet ended the connection."""
    if select.select([connection.socket], [], [], DRIBBLE_SECONDS / len(LATE))[0]:
        data = connection.socket.recv(65536)
        late.received += data
        return data != b""
    if late.dribbles:
        connection.send(b" ")
    return True


@pytest.mark.parametrize("name", LATE)
def test_who_sends_too_late_is_answered_so_and_the_connection_ends(ended: dict[str, Late], name: str) -> None:
    late = ended[name]
    assert [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", late.received)] == late.statuses
    assert (b"connection: close" in late.received) == (408 in late.statuses)


@pytest.mark.parametrize("name", LATE)
def test_who_sends_too_late_has_had_the_time(ended: dict[str, Late], name: str) -> None:
    assert SECONDS * 0.8 < ended[name].seconds < SOON_SECONDS


def test_apps_see_the_clients_leave_whose_bodies_come_too_late(server: Running, ended: dict[str, Late]) -> None:
    begun, left = server.output().count("begun"), server.output().count("left")
    assert begun == left == sum(late.sent.count(b"/echo") for late in ended.values())


def test_a_body_has_its_time_when_an_answer_had_to_wait_for_its_reader(server: Running) -> None:
    with Connection(server, receive_buffer=SMALL) as connection:
        connection.send(head("POST", "/duplex?bytes=8000000", "Content-Length: 10") + b"12345")
        connection.socket.settimeout(SOON_SECONDS)
        while connection.socket.recv(1_000_000):
            pass


# Clients that do not read


@pytest.mark.parametrize(
    "sent",
    [head("GET", "/stream?bytes=50000000"), head("GET", "/large"), head("GET", "/stream?bytes=100000") * 200],
    ids=["many parts", "one part", "many answers"],
)
def test_a_client_that_never_reads_is_let_go(server: Running, sent: bytes) -> None:
    before = base(server)
    with Connection(server, receive_buffer=SMALL) as connection:
        connection.send(sent)
        assert connection.socket.recv(1) == b"H"
        settles(server, before)


def test_a_slow_reader_that_goes_on_reading_is_not_let_go(server: Running) -> None:
    """The answer is more than the system's buffers hold, and takes twice as long as a client may stall."""
    size = 16_000_000
    with Connection(server) as connection:
        connection.send(head("GET", f"/stream?bytes={size}"))
        read, began = 0, time.monotonic()
        while read < size:
            part = connection.socket.recv(100_000)
            assert part
            read += len(part)
            time.sleep(max(0, began + 2 * SECONDS * read / size - time.monotonic()))


# Apps that take their time


def test_an_app_that_waits_until_its_client_leaves_does_not_wait_for_ever(server: Running) -> None:
    """A client that has closed its connection looks like one that has said all that it has to say."""
    before = base(server)
    with Connection(server) as connection:
        connection.send(head("GET", "/listen"))
    settles(server, before, limit_seconds=SOON_SECONDS)


def test_an_app_may_take_longer_than_any_client(server: Running) -> None:
    with Connection(server) as connection:
        connection.socket.settimeout(SECONDS * 1.2)
        connection.send(head("GET", "/hold"))
        with pytest.raises(TimeoutError):
            connection.socket.recv(1)

"""Clients that vanish and apps that break: nothing is left of either."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator

import pytest
from tests.server.clients import SMALL, reset
from tests.server.engine import assert_said_nothing_bad, base, serving, settles
from tests.support.processes import Running, wait_until
from tests.support.sockets import Connection, head

MANY = 20


@pytest.fixture(scope="module")
def server(loop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("broken"), loop) as server:
        yield server


@pytest.fixture
def faultless(server: Running) -> Iterator[Running]:
    """A server that has nothing to complain about."""
    said = len(server.output())
    yield server
    assert_said_nothing_bad(server, said)


def connect_only(connection: Connection) -> None:
    """Send nothing."""


def half_a_head(connection: Connection) -> None:
    connection.send(head("GET", "/hello")[:-3])


def half_a_body(connection: Connection) -> None:
    connection.send(head("POST", "/echo", "Content-Length: 10") + b"12345")


def half_a_chunk(connection: Connection) -> None:
    connection.send(head("POST", "/echo", "Transfer-Encoding: chunked") + b"a\r\n12345")


def an_answer_unread(connection: Connection) -> None:
    connection.send(head("GET", "/stream?bytes=50000000"))


def half_an_answer(connection: Connection) -> None:
    connection.send(head("GET", "/stream?bytes=50000000"))
    assert connection.socket.recv(SMALL)


def a_large_part(connection: Connection) -> None:
    connection.send(head("GET", "/large"))
    assert connection.socket.recv(SMALL)


def idle(connection: Connection) -> None:
    assert connection.request("GET", "/hello").status == 200


def many_requests(connection: Connection) -> None:
    connection.send(head("GET", "/stream?bytes=100000") * 100)


def an_early_answer(connection: Connection) -> None:
    connection.send(head("POST", "/hello", "Content-Length: 1000000") + b"12345")
    assert connection.answer().status == 200


WHERE = [
    connect_only,
    half_a_head,
    half_a_body,
    half_a_chunk,
    an_answer_unread,
    half_an_answer,
    a_large_part,
    idle,
    many_requests,
    an_early_answer,
]


@pytest.mark.parametrize("leave", [reset, Connection.__exit__], ids=["reset", "closed"])
@pytest.mark.parametrize("get_there", WHERE, ids=lambda where: where.__name__)
def test_nothing_is_left_of_clients_that_vanish(
    faultless: Running, get_there: Callable[[Connection], None], leave: Callable[[Connection], None]
) -> None:
    before = base(faultless)
    connections = [Connection(faultless, receive_buffer=SMALL) for _ in range(MANY)]
    for connection in connections:
        get_there(connection)
    for connection in connections:
        leave(connection)
    settles(faultless, before)


def test_an_app_that_waits_for_its_client_to_leave_is_told(faultless: Running) -> None:
    begun, left = faultless.output().count("begun"), faultless.output().count("left")
    connection = Connection(faultless)
    connection.send(head("GET", "/listen"))
    wait_until(lambda: faultless.output().count("begun") > begun)
    reset(connection)
    wait_until(lambda: faultless.output().count("left") > left)


EARLY = head("POST", "/hello", "Content-Length: 1000000") + b"1"


@pytest.mark.parametrize("sent", [EARLY, b"nonsense\r\n\r\n"], ids=["an early answer", "a refusal"])
def test_a_client_that_breaks_down_on_its_answer_leaves_no_traceback(faultless: Running, sent: bytes) -> None:
    """On one processor the client is awake before the server goes on."""
    processors = os.sched_getaffinity(0)
    one = {min(processors)}
    try:
        for process in (0, faultless.process.pid):
            os.sched_setaffinity(process, one)
        for _ in range(100):
            connection = Connection(faultless)
            connection.send(sent)
            assert connection.socket.recv(1)
            reset(connection)
    finally:
        for process in (0, faultless.process.pid):
            os.sched_setaffinity(process, processors)


# Apps that break


@pytest.mark.parametrize("path", ["/silent", "/raising"])
def test_an_app_that_gives_no_answer_has_a_500_instead(server: Running, path: str) -> None:
    with Connection(server) as connection:
        answer = connection.request("GET", path)
        assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
        assert answer.headers["connection"] == "close"
        assert connection.is_closed()


def test_what_an_app_raises_is_logged_once(server: Running) -> None:
    said = server.output().count("RuntimeError: it is broken")
    with Connection(server) as connection:
        connection.request("GET", "/raising")
        assert connection.is_closed()
    wait_until(lambda: server.output().count("RuntimeError: it is broken") == said + 1)


@pytest.mark.parametrize(
    ("path", "content"),
    [("/too-little", b""), ("/too-much", b"half"), ("/broken-off", b"4\r\nhalf\r\n")],
)
def test_an_answer_that_goes_wrong_ends_where_it_went_wrong(server: Running, path: str, content: bytes) -> None:
    """Nothing behind it can be taken for another answer, and one without its end is not taken for a whole one."""
    with Connection(server) as connection:
        received = until_the_end(connection, head("GET", path))
    start, _, rest = received.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 200") if content else start.startswith(b"HTTP/1.1 500")
    assert not content or rest == content


def until_the_end(connection: Connection, request: bytes) -> bytes:
    connection.send(request)
    received = b""
    while data := connection.socket.recv(65536):
        received += data
    return received


def test_an_answer_to_http_1_0_that_breaks_off_is_no_whole_one(server: Running) -> None:
    """Its end is the connection's (RFC 9112 §6.3), so that only a reset tells that it is not the answer's."""
    with Connection(server) as connection, pytest.raises(ConnectionResetError):
        until_the_end(connection, b"GET /broken-off HTTP/1.0\r\n\r\n")


def test_the_tasks_of_broken_apps_end(server: Running) -> None:
    before = base(server)
    for path in ("/silent", "/raising", "/too-little", "/too-much", "/broken-off"):
        with Connection(server) as connection:
            connection.send(head("GET", path))
            connection.socket.shutdown(socket.SHUT_WR)
            assert connection.socket.recv(65536)
    settles(server, before)


def test_one_request_knows_nothing_of_another_ones_state(server: Running) -> None:
    with Connection(server) as connection:
        told = [connection.request("GET", "/").json()["state"] for _ in range(2)]
    assert told == [{"greeting": "hello"}] * 2

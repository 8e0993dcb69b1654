"""HTTP/2 over TLS, which Hypercorn serves on a connection that was handed over to it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import h2.events
import pytest
from tests.server.clients import HTTP2, Secure, reset, trusting
from tests.server.engine import Connect, assert_said_nothing_bad, base, serving_tls, settles
from tests.support.processes import Running, wait_until
from tests.support.sockets import Connection


@pytest.fixture(scope="module")
def server(loop: str, certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving_tls(tmp_path_factory.mktemp("http2"), loop, certificate, keep_alive_timeout=60) as server:
        yield server
        assert_said_nothing_bad(server)


@pytest.fixture(scope="module")
def secure(certificate: Path) -> Connect:
    return partial(Secure, context=trusting(certificate))


@pytest.fixture
def connection(server: Running, certificate: Path) -> Iterator[HTTP2]:
    with HTTP2(server, certificate) as connection:
        yield connection


def test_a_get_is_answered(connection: HTTP2) -> None:
    answer = connection.answer_to(connection.begin("GET", "/somewhere"))
    described = answer.json()
    assert answer.status == 200
    assert (described["http_version"], described["scheme"], described["path"]) == ("2", "https", "/somewhere")
    assert described["state"] == {"greeting": "hello"}


def test_a_body_reaches_the_app(connection: HTTP2) -> None:
    number = connection.begin("POST", "/echo", ends=False)
    connection.give(number, b"hello, ", ends=False)
    connection.give(number, b"world")
    assert connection.answer_to(number).body == b"hello, world"


def test_two_streams_are_under_way_at_once(connection: HTTP2) -> None:
    first = connection.begin("POST", "/echo", ends=False)
    second = connection.begin("GET", "/hello")
    assert connection.answer_to(second).body == b"hello"
    connection.give(first, b"late")
    assert connection.answer_to(first).body == b"late"


def test_a_large_answer_comes_whole(connection: HTTP2) -> None:
    assert len(connection.answer_to(connection.begin("GET", "/stream?bytes=2000000")).body) == 2_000_000


def connect_only(connection: HTTP2) -> None:
    """Ask for nothing."""


def idle(connection: HTTP2) -> None:
    assert connection.answer_to(connection.begin("GET", "/hello")).status == 200


def half_a_body(connection: HTTP2) -> None:
    connection.give(connection.begin("POST", "/echo", ends=False), b"half", ends=False)


def half_an_answer(connection: HTTP2) -> None:
    connection.begin("GET", "/stream?bytes=50000000")
    assert connection.until(h2.events.DataReceived)


@pytest.mark.parametrize("leave", [reset, Secure.__exit__], ids=["reset", "closed"])
@pytest.mark.parametrize(
    "get_there", [connect_only, idle, half_a_body, half_an_answer], ids=lambda there: there.__name__
)
def test_nothing_is_left_of_clients_that_vanish(
    server: Running,
    certificate: Path,
    secure: Connect,
    get_there: Callable[[HTTP2], None],
    leave: Callable[[Connection], None],
) -> None:
    before = base(server, secure)
    connections = [HTTP2(server, certificate) for _ in range(3)]
    for connection in connections:
        get_there(connection)
    for connection in connections:
        leave(connection)
    settles(server, before, secure)


def test_nothing_is_left_of_a_client_that_says_good_bye(server: Running, certificate: Path, secure: Connect) -> None:
    before = base(server, secure)
    with HTTP2(server, certificate) as connection:
        idle(connection)
        connection.state.close_connection()
        connection.flush()
        assert connection.is_closed()
    settles(server, before, secure)


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\xff" * 100], ids=["HTTP/1.1", "0", "255"])
def test_what_is_no_http_2_ends_the_connection(
    server: Running, certificate: Path, secure: Connect, junk: bytes
) -> None:
    before = base(server, secure)
    with Secure(server, trusting(certificate, "h2")) as connection:
        connection.send(junk)
        while connection.socket.recv(1000):
            pass
    settles(server, before, secure)
    assert_said_nothing_bad(server)


def test_a_path_that_is_no_ascii_leaves_no_traceback(server: Running, certificate: Path, secure: Connect) -> None:
    before = base(server, secure)
    with HTTP2(server, certificate) as connection:
        number = connection.begin("GET", "/ä")
        connection.until(h2.events.StreamEnded, number)
    settles(server, before, secure)
    assert_said_nothing_bad(server)


def test_a_stop_lets_the_stream_under_way_end_and_closes_idle_connections(
    loop: str, certificate: Path, tmp_path: Path
) -> None:
    """Their clients need not close their side for it."""
    with (
        serving_tls(tmp_path, loop, certificate, graceful_timeout=30, keep_alive_timeout=60) as server,
        HTTP2(server, certificate) as busy,
        HTTP2(server, certificate) as resting,
    ):
        idle(resting)
        number = busy.begin("POST", "/echo", ends=False)
        wait_until(lambda: "begun" in server.output())
        server.process.send_signal(signal.SIGTERM)
        assert not resting.until(h2.events.ResponseReceived, number=-1)
        busy.give(number, b"late")
        assert busy.answer_to(number).body == b"late"
        assert server.process.wait(5) == 0
        assert "lifespan.shutdown" in server.output()
        assert_said_nothing_bad(server)


def test_a_stop_cuts_the_stream_that_takes_longer(loop: str, certificate: Path, tmp_path: Path) -> None:
    with serving_tls(tmp_path, loop, certificate) as server:
        with HTTP2(server, certificate) as connection:
            connection.begin("GET", "/hold")
            wait_until(lambda: "begun" in server.output())
            server.process.send_signal(signal.SIGTERM)
            assert not connection.until(h2.events.ResponseReceived)
        assert server.process.wait(5) == 0
        assert "cut\nlifespan.shutdown" in server.output()
        assert_said_nothing_bad(server)

"""WebSockets on the clear port, which Hypercorn serves on a connection that was handed over to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.server.clients import WebSocket, reset
from tests.server.engine import assert_said_nothing_bad, base, serving, settles
from tests.support.processes import Running, wait_until
from tests.support.sockets import Connection
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

Leave = Callable[[Connection], None]


@pytest.fixture(scope="module")
def server(loop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("websockets"), loop, keep_alive_timeout=60) as server:
        yield server


@pytest.fixture
def connection(server: Running) -> Iterator[Connection]:
    with Connection(server) as connection:
        yield connection


@pytest.fixture
def socket(connection: Connection) -> WebSocket:
    """A WebSocket that is open."""
    return opened(connection)


def opened(connection: Connection) -> WebSocket:
    socket = WebSocket(connection, "/chat")
    assert isinstance(socket.receive(), AcceptConnection)
    return socket


def test_text_comes_back(socket: WebSocket) -> None:
    answer = socket.send(TextMessage(data="grüß Gott")).receive()
    assert isinstance(answer, TextMessage)
    assert answer.data == "grüß Gott"


def test_bytes_come_back(socket: WebSocket) -> None:
    answer = socket.send(BytesMessage(data=bytes(range(256)))).receive()
    assert isinstance(answer, BytesMessage)
    assert bytes(answer.data) == bytes(range(256))


def test_a_message_longer_than_a_read_comes_back(socket: WebSocket) -> None:
    socket.send(BytesMessage(data=bytes(200_000)))
    received, whole = 0, False
    while not whole:
        part = socket.receive()
        assert isinstance(part, BytesMessage)
        received, whole = received + len(part.data), part.message_finished
    assert received == 200_000


def test_a_ping_is_answered(socket: WebSocket) -> None:
    assert socket.send(Ping(payload=b"there?")).receive() == Pong(payload=b"there?")


def test_a_close_is_answered_and_the_connection_ends(server: Running, socket: WebSocket) -> None:
    before = server.output().count("left 1")
    answer = socket.send(CloseConnection(code=1000)).receive()
    assert isinstance(answer, CloseConnection)
    assert answer.code == 1000
    assert socket.connection.is_closed()
    wait_until(lambda: server.output().count("left 1") > before)


def test_the_app_can_close(socket: WebSocket) -> None:
    answer = socket.send(TextMessage(data="leave")).receive()
    assert isinstance(answer, CloseConnection)
    assert (answer.code, answer.reason) == (4000, "as asked")
    socket.send(answer.response())
    assert socket.connection.is_closed()


def test_a_connection_that_has_served_requests_can_become_a_websocket(connection: Connection) -> None:
    for _ in range(3):
        assert connection.request("GET", "/hello").status == 200
    answer = opened(connection).send(TextMessage(data="hello")).receive()
    assert isinstance(answer, TextMessage)


def test_a_handshake_may_come_byte_by_byte(connection: Connection) -> None:
    for number in WSConnection(ConnectionType.CLIENT).send(Request(host="postern.test", target="/chat")):
        connection.send(bytes([number]))
    assert connection.answer().status == 101


def test_a_refused_handshake_is_a_403(connection: Connection) -> None:
    refusal = WebSocket(connection, "/refusing").receive()
    assert isinstance(refusal, RejectConnection)
    assert refusal.status_code == 403


def test_an_app_that_breaks_in_the_handshake_is_a_500(connection: Connection) -> None:
    refusal = WebSocket(connection, "/breaking").receive()
    assert isinstance(refusal, RejectConnection)
    assert refusal.status_code == 500


def test_an_app_can_refuse_with_an_answer_of_its_own(connection: Connection) -> None:
    socket = WebSocket(connection, "/explaining")
    refusal, content = socket.receive(), socket.receive()
    assert isinstance(refusal, RejectConnection)
    assert isinstance(content, RejectData)
    assert (refusal.status_code, bytes(content.data)) == (503, b"full")
    assert (b"x-reason", b"full") in list(refusal.headers)


@pytest.mark.parametrize("leave", [reset, Connection.__exit__], ids=["reset", "closed"])
def test_nothing_is_left_of_clients_that_vanish(server: Running, leave: Leave) -> None:
    before = base(server)
    connections = [Connection(server) for _ in range(10)]
    for connection in connections:
        opened(connection)
    for connection in connections:
        leave(connection)
    settles(server, before)


def test_nothing_is_left_of_what_was_refused(server: Running) -> None:
    before = base(server)
    for path in ("/refusing", "/explaining", "/breaking"):
        with Connection(server) as connection:
            assert isinstance(WebSocket(connection, path).receive(), RejectConnection)
    settles(server, before)


def test_nonsense_ends_a_websocket_and_leaves_nothing(server: Running) -> None:
    before = base(server)
    with Connection(server) as connection:
        socket = opened(connection)
        connection.send(b"\xff" * 100)
        assert isinstance(socket.receive(), CloseConnection)
    settles(server, before)


def test_a_stop_ends_a_websocket_within_its_time(loop: str, tmp_path: Path) -> None:
    with serving(tmp_path, loop) as server, Connection(server) as connection, Connection(server) as other:
        opened(connection)
        opened(other)
        assert server.stop(limit_seconds=5) == 0
        assert "lifespan.shutdown" in server.output()
        assert_said_nothing_bad(server)

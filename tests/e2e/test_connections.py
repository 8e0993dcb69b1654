"""Connections that end: idle ones, those whose client does not read, and those that a stop cuts."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from service.embedded import Cluster
from tests.support.processes import PROGRAMS, Running, environment, running, unmeasured, wait_until
from tests.support.sockets import Connection, head

SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEF"


@pytest.fixture
def impatient(database_url: str, cluster: Cluster, tmp_path: Path) -> Iterator[Running]:
    """A server that waits for a second: for the next request of a connection, and for those under way when it stops."""
    env = environment(
        APP_ENV="production",
        SECRET_KEY=SECRET,
        DATABASE_URL=database_url,
        KEEP_ALIVE_SECONDS="1",
        STALL_SECONDS="1",
        SHUTDOWN_SECONDS="1",
        HEAD_SECONDS="0.5",
    )
    started = running(PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", folder=tmp_path, env=unmeasured(env))
    with started as server:
        yield server


def assert_ends_cleanly(server: Running) -> None:
    assert server.stop(limit_seconds=5) == 0
    assert "Traceback" not in server.output()


def test_an_idle_connection_is_closed(impatient: Running) -> None:
    with Connection(impatient) as silent, Connection(impatient) as asking, Connection(impatient) as beginning:
        assert asking.request("GET", "/livez").status == 200
        assert beginning.send(b"GET /livez HTTP/1.1\r\nHost").answer().status == 408
        assert all(connection.is_closed() for connection in (silent, asking, beginning))
    assert_ends_cleanly(impatient)


def test_a_connection_that_is_asked_on_is_not_idle(impatient: Running) -> None:
    with Connection(impatient) as connection:
        for _ in range(4):
            connection.socket.settimeout(0.4)
            with pytest.raises(TimeoutError):
                connection.socket.recv(1)
            assert connection.request("GET", "/livez").status == 200


def test_an_idle_client_that_does_not_read_is_let_go(impatient: Running) -> None:
    """Of what it asked for the last answers fit into the server's own buffers: to the app they are sent."""
    before = impatient.descriptors()
    clients = []
    try:
        for count in range(300, 500, 25):  # how many answers the system takes is its own affair
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", impatient.port))
            client.sendall(head("GET", "/metrics") * count)
            clients.append(client)
        wait_until(lambda: impatient.descriptors() <= before, limit_seconds=40)
    finally:
        for client in clients:
            client.close()
    assert_ends_cleanly(impatient)


def test_what_a_stop_cuts_gets_no_answer_rather_than_half_of_one(impatient: Running) -> None:
    lines = ["Content-Type: application/json", "Content-Length: 100", "Expect: 100-continue"]
    with Connection(impatient) as connection:
        assert connection.send(head("POST", "/api/auth/login", *lines)).answer().status == 100
        assert_ends_cleanly(impatient)
        assert connection.is_closed()
    assert [line["status"] for line in impatient.log_lines() if line.get("route") or "status" in line] == [499]

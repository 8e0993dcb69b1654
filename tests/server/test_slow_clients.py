"""Clients that read, or send, more slowly than the app: they cost no memory, and nobody else's time."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.server.clients import SMALL, Secure, reset, trusting
from tests.server.engine import (
    assert_said_nothing_bad,
    resident_kib,
    sent_to,
    serving,
    serving_tls,
)
from tests.support.processes import Running, wait_until
from tests.support.sockets import Connection, ask, head

KIB = 1024
MEMORY_KIB = 2048
"""What a test may add to the server's memory: an allocator takes more than what is held at any time."""
HIGH_WATER_BYTES, PART_BYTES = 64 * KIB, 16 * KIB
STREAM = "/stream?bytes=50000000"


@pytest.fixture(scope="module")
def server(loop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("slow"), loop) as server:
        for _ in range(3):  # what is needed once is there then
            ask(server, "GET", "/stream?bytes=1000000")
            with Connection(server) as connection:
                connection.request("POST", "/upload", body=bytes(KIB * KIB))
        yield server
        assert_said_nothing_bad(server)


def grown_kib(server: Running, before_kib: int) -> int:
    return resident_kib(server) - before_kib


def until_it_stands_still(*clients: Connection, asking: Connection) -> int:
    """Wait until the app can send these clients no more, and return how many bytes it was."""
    seen = [0]

    def stands() -> bool:
        seen.append(sent_to(*clients, asking=asking))
        return seen[-1] > 0 and len(set(seen[-5:])) == 1

    wait_until(stands)
    return seen[-1]


def queued(port: int, peer: int) -> tuple[int, int]:
    """Return how many bytes the system holds of a connection at this side: to be sent, and to be read."""
    ports = f":{port:04X}", f":{peer:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if (local[-5:], remote[-5:]) == ports:
            sending, _, reading = queues.partition(":")
            return int(sending, 16), int(reading, 16)
    raise AssertionError("there is no such connection")


# Clients that read slowly


def test_a_slow_reader_costs_no_memory(server: Running) -> None:
    with Connection(server) as other, Connection(server, receive_buffer=SMALL) as reader:
        before = resident_kib(server)
        reader.send(head("GET", STREAM))
        for _ in range(20):
            assert reader.socket.recv(SMALL)
        assert until_it_stands_still(reader, asking=other) > HIGH_WATER_BYTES
        assert grown_kib(server, before) < MEMORY_KIB


def test_the_server_holds_one_write_buffer_for_a_slow_reader(server: Running) -> None:
    with Connection(server) as other, Connection(server, receive_buffer=SMALL) as reader:
        reader.send(head("GET", STREAM))
        read = b""
        while b"\r\n\r\n" not in read:
            read += reader.socket.recv(SMALL)
        sent = until_it_stands_still(reader, asking=other)
        here = reader.socket.getsockname()[1]
        on_the_way = queued(server.port, here)[0] + queued(here, server.port)[1]
        held = read.index(b"\r\n\r\n") + 4 + sent - len(read) - on_the_way
        assert 0 < held <= HIGH_WATER_BYTES + PART_BYTES


def test_many_slow_readers_cost_a_write_buffer_each(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(Connection(server))
        readers = [stack.enter_context(Connection(server, receive_buffer=SMALL)) for _ in range(20)]
        before = resident_kib(server)
        for reader in readers:
            reader.send(head("GET", STREAM))
        for reader in readers:
            assert reader.socket.recv(SMALL)
        until_it_stands_still(*readers, asking=other)
        assert grown_kib(server, before) < MEMORY_KIB + len(readers) * 2 * HIGH_WATER_BYTES // KIB


def test_what_an_app_sends_in_one_large_part_is_not_copied_for_each_slow_reader(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(Connection(server, receive_buffer=SMALL)) for _ in range(8)]
        before = resident_kib(server)
        for reader in readers:
            reader.send(head("GET", "/large"))
        for reader in readers:
            assert reader.socket.recv(SMALL)
        assert grown_kib(server, before) < MEMORY_KIB + len(readers) * 4 * HIGH_WATER_BYTES // KIB


def test_a_slow_reader_over_tls_costs_no_memory(loop: str, certificate: Path, tmp_path: Path) -> None:
    connect = partial(Secure, context=trusting(certificate))
    with (
        serving_tls(tmp_path, loop, certificate) as server,
        connect(server) as other,
        connect(server, receive_buffer=SMALL) as reader,
    ):
        assert len(other.request("GET", "/stream?bytes=1000000").body) == 1_000_000
        before = resident_kib(server)
        reader.send(head("GET", STREAM))
        assert reader.socket.recv(SMALL)
        until_it_stands_still(reader, asking=other)
        assert grown_kib(server, before) < MEMORY_KIB


def test_pipelined_requests_of_a_slow_reader_wait_in_the_system(server: Running) -> None:
    before = resident_kib(server)
    with Connection(server, receive_buffer=SMALL) as connection:
        connection.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.send(head("GET", "/stream?bytes=10000") * 200_000)
        assert grown_kib(server, before) < MEMORY_KIB
        connection.socket.settimeout(10)
        assert connection.answer().status == 200


# Clients that read fast, and then no more


@pytest.fixture(scope="module")
def pouring(loop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose app sends for ever, as fast as it is let."""
    with serving(tmp_path_factory.mktemp("pouring"), loop) as server:
        yield server
        assert_said_nothing_bad(server)


@pytest.fixture
def reader(pouring: Running) -> Connection:
    """A client that is sent to for ever; the test resets it."""
    reader = Connection(pouring)
    reader.send(head("GET", "/endless"))
    assert reader.socket.recv(1) == b"H"
    return reader


def assert_others_have_their_turn(server: Running) -> None:
    with Connection(server) as other:
        other.socket.settimeout(2)
        for _ in range(10):
            assert other.request("GET", "/hello").status == 200


def test_an_endless_answer_to_a_fast_reader_leaves_others_their_turn(pouring: Running, reader: Connection) -> None:
    ended = threading.Event()

    def read() -> None:
        taken = bytearray(KIB * KIB)
        while not ended.is_set():
            reader.socket.recv_into(taken)
        reset(reader)

    reading = threading.Thread(target=read)
    reading.start()
    try:
        assert_others_have_their_turn(pouring)
    finally:
        ended.set()
        reading.join()


def test_an_endless_answer_whose_client_has_left_leaves_others_their_turn(pouring: Running, reader: Connection) -> None:
    reset(reader)
    assert_others_have_their_turn(pouring)


# Clients that send slowly, or too fast


@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_a_body_that_comes_byte_by_byte_is_served(server: Running, framing: str) -> None:
    body = bytes(range(32, 127))
    line = f"Content-Length: {len(body)}" if framing == "sized" else "Transfer-Encoding: chunked"
    sent = body if framing == "sized" else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    with Connection(server) as connection:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in head("POST", "/echo", line) + sent:
            connection.send(bytes([number]))
        assert connection.answer().body == body
        assert connection.request("GET", "/hello").status == 200


def test_a_large_body_costs_no_memory(server: Running) -> None:
    before = resident_kib(server)
    with Connection(server) as connection:
        connection.send(head("POST", "/upload", "Content-Length: 50000000"))
        for part in itertools.repeat(bytes(100_000), 500):
            connection.send(part)
        assert connection.answer().body == b"50000000"
        assert grown_kib(server, before) < MEMORY_KIB


def test_a_client_that_sends_to_an_app_that_does_not_read_has_to_wait(server: Running) -> None:
    before = resident_kib(server)
    with Connection(server) as connection:
        connection.send(head("POST", "/unread", "Content-Length: 50000000"))
        connection.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.send(bytes(50_000_000))
        assert grown_kib(server, before) < MEMORY_KIB
        assert ask(server, "GET", "/release").status == 200
        connection.socket.settimeout(10)
        answer = connection.answer()
        assert (answer.body, answer.headers["connection"]) == (b"late", "close")
        assert connection.is_closed()


def test_an_answer_before_the_body_is_delivered_and_the_connection_closed(server: Running) -> None:
    with Connection(server) as connection:
        connection.send(head("POST", "/hello", "Content-Length: 50000000"))
        for part in itertools.repeat(bytes(100_000), 50):
            connection.send(part)
        answer = connection.answer()
        assert (answer.body, answer.headers["connection"]) == (b"hello", "close")
        connection.send(bytes(100_000))
        assert connection.is_closed()


# Clients that have said what they have to say


def test_a_client_that_sends_nothing_more_gets_its_answer(server: Running) -> None:
    with Connection(server) as connection:
        connection.send(head("POST", "/echo", "Content-Length: 5") + b"hello")
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.answer().body == b"hello"
        assert connection.is_closed()


def test_a_client_that_sends_nothing_more_gets_all_its_answers(server: Running) -> None:
    with Connection(server) as connection:
        connection.send(head("GET", "/stream?bytes=1000000") * 3)
        connection.socket.shutdown(socket.SHUT_WR)
        assert [len(connection.answer().body) for _ in range(3)] == [1_000_000] * 3
        assert connection.is_closed()


def test_a_client_that_ends_within_a_body_is_told_so(server: Running) -> None:
    with Connection(server) as connection:
        connection.send(head("POST", "/echo", "Content-Length: 5") + b"hell")
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.answer().status == 400
        assert connection.is_closed()

"""SIGTERM and SIGINT: what is under way ends, what is idle is closed, and the process leaves nothing behind."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.server.clients import Secure, trusting
from tests.server.engine import assert_said_nothing_bad, census, sent_to, serving, serving_tls
from tests.support.processes import Running, environment, wait_until
from tests.support.sockets import Answer, Connection, head, is_refused

AT_ONCE_SECONDS = 5
"""Much less than the half of a minute that requests have to end."""
LONG = 6_000_000
"""Bytes, more than the system takes off a server's hands."""


@dataclass(frozen=True)
class Stop:
    """What came of a stop, and of a second signal, while one request was under way and another came behind it."""

    server: Running
    status: int
    answer: Answer
    closed_behind: bool
    idle_seconds: float
    """Until what had no request was closed."""
    refused: bool
    """Whether a new client could not connect meanwhile."""


@pytest.fixture(scope="module", params=[signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def stop(request: pytest.FixtureRequest, loop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stop]:
    folder = tmp_path_factory.mktemp("stop")
    with (
        serving(folder, loop, env=environment(), graceful_timeout=30, keep_alive_timeout=30, head_seconds=30) as server,
        Connection(server) as busy,
        Connection(server) as idle,
        Connection(server) as beginning,
        Connection(server) as fresh,
    ):
        assert idle.request("GET", "/hello").status == 200
        beginning.send(head("GET", "/hello")[:-20])
        busy.send(head("POST", "/echo", "Content-Length: 10") + b"12345")
        wait_until(lambda: "begun" in server.output())
        server.process.send_signal(request.param)
        began = time.monotonic()
        assert all(connection.is_closed() for connection in (idle, beginning, fresh))
        seconds = time.monotonic() - began
        refused = is_refused(server)
        server.process.send_signal(request.param)
        answer = busy.send(b"67890" + head("POST", "/echo", "Content-Length: 0")).answer()
        yield Stop(server, server.process.wait(10), answer, busy.is_closed(), seconds, refused)


def test_a_request_under_way_is_answered_and_its_connection_closed(stop: Stop) -> None:
    assert (stop.answer.status, stop.answer.body) == (200, b"1234567890")
    assert stop.answer.headers["connection"] == "close"
    assert stop.closed_behind


def test_a_request_behind_it_is_not_begun(stop: Stop) -> None:
    assert stop.server.output().count("begun") == 1


def test_connections_without_a_whole_request_are_closed_at_once(stop: Stop) -> None:
    assert stop.idle_seconds < AT_ONCE_SECONDS


def test_nobody_can_connect_any_more(stop: Stop) -> None:
    assert stop.refused


def test_the_process_ends_in_peace(stop: Stop) -> None:
    assert stop.status == 0
    assert_said_nothing_bad(stop.server)


def test_the_lifespan_ends_after_the_last_answer(stop: Stop) -> None:
    said = [line for line in stop.server.output().splitlines() if line.startswith(("lifespan", "begun"))]
    assert said == ["lifespan.startup", "begun", "lifespan.shutdown"]


def test_what_takes_longer_is_cut_without_an_answer(loop: str, tmp_path: Path) -> None:
    """Be it the app that takes its time, or a client that does not read."""
    with (
        serving(tmp_path, loop, graceful_timeout=0.3) as server,
        Connection(server) as waiting,
        Connection(server, receive_buffer=4096) as reading,
    ):
        reading.send(head("GET", "/large"))
        assert reading.socket.recv(1) == b"H"
        waiting.send(head("GET", "/hold"))
        wait_until(lambda: "begun" in server.output())
        assert server.stop(limit_seconds=AT_ONCE_SECONDS) == 0
        assert waiting.is_closed()
        assert "cut\nlifespan.shutdown" in server.output()
        assert_said_nothing_bad(server)


def test_connections_over_tls_hold_nothing_up(loop: str, certificate: Path, tmp_path: Path) -> None:
    """Neither one that is idle nor one whose handshake ends after the stop has begun."""
    with serving_tls(tmp_path, loop, certificate, graceful_timeout=30, keep_alive_timeout=30) as server:
        with (
            Secure(server, trusting(certificate)) as busy,
            Secure(server, trusting(certificate)) as idle,
            socket.create_connection(("127.0.0.1", server.port), 5) as raw,
        ):
            late = trusting(certificate).wrap_socket(raw, server_hostname="localhost", do_handshake_on_connect=False)
            busy.send(head("POST", "/echo", "Content-Length: 10") + b"12345")
            wait_until(lambda: "begun" in server.output())
            assert idle.request("GET", "/hello").status == 200
            server.process.send_signal(signal.SIGTERM)
            assert idle.is_closed()
            with late:
                late.do_handshake()
                assert late.recv(1) == b""
            assert busy.send(b"67890").answer().body == b"1234567890"
        assert server.process.wait(AT_ONCE_SECONDS) == 0
        assert_said_nothing_bad(server)


def test_who_is_about_to_ask_may_do_so_once_more(loop: str, tmp_path: Path) -> None:
    with (
        serving(tmp_path, loop, graceful_timeout=30, keep_alive_timeout=30, last_request_seconds=1) as server,
        Connection(server) as asking,
        Connection(server) as silent,
        Connection(server) as fresh,
    ):
        assert asking.request("GET", "/hello").headers.get("connection") is None
        assert silent.request("GET", "/hello").status == 200
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(server))
        for last in (asking.request("GET", "/hello"), fresh.request("GET", "/hello")):
            assert (last.status, last.headers["connection"]) == (200, "close")
        assert all(connection.is_closed() for connection in (asking, silent, fresh))
        assert server.process.wait(AT_ONCE_SECONDS) == 0
        assert_said_nothing_bad(server)


def test_who_takes_a_last_answer_slowly_gets_all_of_it(loop: str, tmp_path: Path) -> None:
    """The moment that idle clients have is not for those whose answer is on its way."""
    with (
        serving(tmp_path, loop, graceful_timeout=30, last_request_seconds=0.3) as server,
        Connection(server, receive_buffer=4096) as reading,
        Connection(server) as idle,
    ):
        alone, read = census(idle).tasks, 0
        reading.send(head("GET", f"/stream?bytes={LONG}", "Connection: close"))
        while sent_to(reading, asking=idle) < LONG or census(idle).tasks > alone:
            read += len(reading.socket.recv(16 * 1024))
        # The app is done with it; what is left is in the server's buffer, and in the system's. Nothing else will come.
        reading.socket.shutdown(socket.SHUT_WR)
        assert idle.request("GET", "/hello").status == 200
        server.process.send_signal(signal.SIGTERM)
        assert idle.is_closed()  # its moment is over
        rest = b"".join(iter(lambda: reading.socket.recv(64 * 1024), b""))
        assert read + len(rest) > LONG
        assert server.process.wait(AT_ONCE_SECONDS) == 0

"""HTTP/1.1 over TLS, and HTTP/2 where it has no business."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.server.clients import Secure, reset, trusting
from tests.server.engine import Connect, assert_said_nothing_bad, base, serving_tls, settles
from tests.support.processes import Running
from tests.support.sockets import Connection, head

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"


@pytest.fixture(scope="module")
def server(loop: str, certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving_tls(tmp_path_factory.mktemp("tls"), loop, certificate) as server:
        yield server
        assert_said_nothing_bad(server)


@pytest.fixture(scope="module")
def secure(certificate: Path) -> Connect:
    """Connects without a word on protocols."""
    return partial(Secure, context=trusting(certificate))


@pytest.mark.parametrize("protocols", [(), ("http/1.1",), ("unheard-of",)], ids=["no ALPN", "http/1.1", "another"])
def test_http_1_1_is_served_over_tls(server: Running, certificate: Path, protocols: tuple[str, ...]) -> None:
    with Secure(server, trusting(certificate, *protocols)) as connection:
        described = connection.request("GET", "/").json()
        assert (described["scheme"], described["http_version"]) == ("https", "1.1")
        assert connection.request("POST", "/echo", body=b"hello").body == b"hello"


def test_the_addresses_are_those_of_the_socket(server: Running, secure: Connect) -> None:
    with secure(server) as connection:
        described = connection.request("GET", "/").json()
        assert described["client"] == list(connection.socket.getsockname())
        assert described["server"] == ["127.0.0.1", server.port]


def test_the_connection_ends_behind_an_answer_that_says_so(server: Running, secure: Connect) -> None:
    with secure(server) as connection:
        answer = connection.request("GET", "/hello", "Connection: close")
        assert (answer.body, answer.headers["connection"]) == (b"hello", "close")
        assert connection.is_closed()


def test_an_answer_before_the_body_is_delivered_over_tls(server: Running, secure: Connect) -> None:
    with secure(server) as connection:
        connection.send(head("POST", "/hello", "Content-Length: 5000000") + bytes(1_000_000))
        answer = connection.answer()
        assert (answer.body, answer.headers["connection"]) == (b"hello", "close")


def test_a_large_answer_comes_whole_over_tls(server: Running, secure: Connect) -> None:
    with secure(server) as connection:
        assert len(connection.request("GET", "/large", "Connection: close").body) == 8 * 1024 * 1024
        assert connection.is_closed()


@pytest.mark.parametrize(
    "junk",
    [b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" + bytes(100), b"\x00", b""],
    ids=["HTTP", "no handshake", "one byte", "nothing"],
)
@pytest.mark.parametrize("breaks", [False, True], ids=["closed", "reset"])
def test_junk_in_place_of_a_handshake_leaves_nothing_behind(
    server: Running, secure: Connect, junk: bytes, *, breaks: bool
) -> None:
    before = base(server, secure)
    for _ in range(10):
        connection = Connection(server)
        connection.send(junk)
        if breaks:
            reset(connection)
        else:
            connection.__exit__()
    settles(server, before, secure)
    assert_said_nothing_bad(server)


def test_a_client_that_does_not_trust_the_server_leaves_nothing_behind(server: Running, secure: Connect) -> None:
    before = base(server, secure)
    with pytest.raises(ssl.SSLCertVerificationError):
        Secure(server, ssl.create_default_context())
    settles(server, before, secure)
    assert_said_nothing_bad(server)


@pytest.mark.parametrize("breaks", [False, True], ids=["closed", "reset"])
def test_nothing_is_left_of_clients_over_tls_that_vanish(server: Running, secure: Connect, *, breaks: bool) -> None:
    before = base(server, secure)
    connections = [secure(server) for _ in range(9)]
    for connection in connections[:3]:
        assert connection.request("GET", "/hello").status == 200
    for connection in connections[3:6]:
        connection.send(head("POST", "/echo", "Content-Length: 10") + b"12345")
    for connection in connections[6:]:
        connection.send(head("GET", "/stream?bytes=50000000"))
        assert connection.socket.recv(1000)
    for connection in connections:
        if breaks:
            reset(connection)
        else:
            connection.__exit__()
    settles(server, before, secure)


def test_no_older_tls_than_1_2_is_spoken(server: Running, certificate: Path) -> None:
    context = trusting(certificate)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", server.port)) as raw, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(raw, server_hostname="localhost").close()


def test_http_2_by_its_preface_alone_is_refused(server: Running, secure: Connect) -> None:
    with secure(server) as connection:
        answer = connection.send(PREFACE).answer()
        assert (answer.status, answer.headers["connection"]) == (400, "close")

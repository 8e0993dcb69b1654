"""What else a client may want to speak on the clear port: only WebSockets are spoken there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.server.engine import assert_said_nothing_bad, serving
from tests.support.processes import Running
from tests.support.sockets import Connection, head

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
VERSION = "Sec-WebSocket-Version: 13"
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
HTTP2 = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")


@pytest.fixture(scope="module")
def server(loop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("upgrades"), loop) as server:
        yield server
        assert_said_nothing_bad(server)


def test_the_preface_of_http_2_is_refused(server: Running) -> None:
    with Connection(server) as connection:
        answer = connection.send(PREFACE).answer()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert connection.is_closed()


def test_the_preface_of_http_2_is_refused_behind_a_request(server: Running) -> None:
    with Connection(server) as connection:
        assert connection.request("GET", "/hello").status == 200
        assert connection.send(PREFACE).answer().status == 400
        assert connection.is_closed()


@pytest.mark.parametrize(
    "lines",
    [
        HTTP2,
        ("Connection: Upgrade", "Upgrade: TLS/1.0"),
        ("Connection: Upgrade", "Upgrade: websocket, h2c", KEY, VERSION),
        ("Connection: Upgrade", "Upgrade: websocket"),
        (*UPGRADE, KEY),
        (*UPGRADE, VERSION),
        (*UPGRADE, KEY, "Sec-WebSocket-Version: 8"),
        (*UPGRADE, KEY, KEY, VERSION),
        ("Upgrade: websocket", KEY, VERSION),
        ("Connection: Upgrade", KEY, VERSION),
        ("Connection: keep-alive", "Upgrade: websocket", KEY, VERSION),
        (*UPGRADE, "Connection: x", KEY, VERSION),
        ("Connection: x", *UPGRADE, KEY, VERSION),
    ],
    ids=lambda lines: "; ".join(line for line in lines if line not in UPGRADE)[:40],
)
def test_another_upgrade_is_ignored(server: Running, lines: tuple[str, ...]) -> None:
    with Connection(server) as connection:
        answer = connection.request("GET", "/chat", *lines)
        assert (answer.status, answer.json()["http_version"]) == (200, "1.1")
        assert "upgrade" not in answer.headers
        assert connection.request("GET", "/hello").status == 200


@pytest.mark.parametrize(("method", "body"), [("POST", b"hello"), ("GET", b"hello"), ("POST", b"")])
def test_a_handshake_that_is_no_get_or_has_a_body_is_a_request(server: Running, method: str, body: bytes) -> None:
    with Connection(server) as connection:
        answer = connection.request(method, "/echo", *UPGRADE, KEY, VERSION, body=body)
        assert (answer.status, answer.body) == (200, body)


def test_a_handshake_with_more_behind_it_is_a_request(server: Running) -> None:
    with Connection(server) as connection:
        connection.send(head("GET", "/chat", *UPGRADE, KEY, VERSION) + head("GET", "/hello"))
        assert connection.answer().json()["path"] == "/chat"
        assert connection.answer().body == b"hello"


def test_an_app_knows_nothing_of_an_upgrade_that_is_ignored(server: Running) -> None:
    with Connection(server) as connection:
        assert "upgrade" not in connection.request("GET", "/", *HTTP2).json()["headers"]

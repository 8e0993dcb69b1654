"""The access log: a line for each request, and none that a client has written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import pytest
from tests.server.clients import WebSocket
from tests.server.engine import serving
from tests.support.processes import Running, environment, wait_until
from tests.support.sockets import Connection, ask

BREAKS = ["Zl", "Zp", "Cc"]
"""What ends a line or moves a terminal's cursor, by Unicode's categories."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("log")
    with serving(folder, "uvloop", "--access-log", "-", env=environment()) as server:
        yield server


def logged(server: Running, after: int) -> str:
    """Return what was logged since then, once it is a line, without the line's end."""
    wait_until(lambda: server.output()[after:].endswith("\n"))
    return server.output()[after:].removesuffix("\n")


def assert_is_one_line(text: str) -> None:
    assert not [sign for sign in text if unicodedata.category(sign) in BREAKS], text


def test_a_request_leaves_a_line(server: Running) -> None:
    before = len(server.output())
    assert ask(server, "GET", "/hello?a=b").status == 200
    line = logged(server, before)
    assert re.search(r'127\.0\.0\.1:\d+ - - \[.*\] "GET /hello 1\.1" 200 5 "-" "-"$', line)


def test_what_does_not_reach_the_app_leaves_a_line(server: Running) -> None:
    before = len(server.output())
    with Connection(server) as connection:
        request_id = connection.send(b"nonsense\r\n\r\n").answer().headers["x-request-id"]
    line = logged(server, before)
    assert line.endswith(f"400 before the app, request id {request_id}")
    assert_is_one_line(line)


@pytest.mark.parametrize("breaks", ["%0a", "%0d", "%0d%0a", "%1b[2J", "%c2%85", "%e2%80%a8"])
def test_a_path_forges_no_line(server: Running, breaks: str) -> None:
    before = len(server.output())
    assert ask(server, "GET", f"/{breaks}forged").status == 200
    assert_is_one_line(logged(server, before))


def test_a_path_forges_no_field(server: Running) -> None:
    before = len(server.output())
    assert ask(server, "GET", "/%22%20404%200%20%22-%22%20%22-%22").status == 200
    assert '" 404 ' not in logged(server, before)


@pytest.mark.parametrize("name", ["Referer", "User-Agent"])
def test_a_header_forges_no_line(server: Running, name: str) -> None:
    before = len(server.output())
    with Connection(server) as connection:
        assert connection.request("GET", "/hello", f"{name}: a\x85forged").status == 200
    assert_is_one_line(logged(server, before))


@pytest.mark.parametrize("path", ["/refusing?a=b", "/nowhere%0aforged"])
def test_a_websocket_leaves_a_line_and_forges_none(server: Running, path: str) -> None:
    before = len(server.output())
    with Connection(server) as connection:
        WebSocket(connection, path).receive()
    assert_is_one_line(logged(server, before))

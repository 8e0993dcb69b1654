"""A client that waits for no answer before it sends its next request, to the server and through nginx.

curl is none any more, so it is a socket.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.clients.app import content
from tests.clients.programs import HTTP_1_0, KEPT, nginx
from tests.support.processes import Running
from tests.support.sockets import Connection, head

ROUNDS = range(25)
"""Of four requests each."""


@pytest.fixture(scope="session", params=[None, HTTP_1_0, KEPT], ids=["directly", "http 1.0", "kept"])
def asked(
    server: Running, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    if request.param is None:
        yield server
        return
    with nginx(server, folder=tmp_path_factory.mktemp("nginx"), way=request.param) as proxy:
        yield proxy


def test_a_hundred_requests_in_one_piece_are_answered_in_order(asked: Running) -> None:
    sent = b""
    for number in ROUNDS:
        sent += head("GET", f"/{number}") + head("POST", f"/{number}", "Content-Length: 4") + b"body"
        sent += head("HEAD", "/large?size=100") + head("GET", f"/stream?size={number}")

    with Connection(asked) as connection:
        connection.send(sent)
        for number in ROUNDS:
            got, posted = connection.answer().json(), connection.answer().json()
            assert (got["method"], got["path"]) == ("GET", f"/{number}")
            assert (posted["method"], posted["path"], posted["length"]) == ("POST", f"/{number}", 4)
            assert connection.answer("HEAD").headers["content-length"] == "100"
            assert connection.answer().body == content(number)


def test_a_hundred_large_answers_wait_for_a_client_that_has_sent_all(asked: Running) -> None:
    sent = head("GET", "/large?size=100000") * 99 + head("GET", "/last", "Connection: close")

    with Connection(asked) as connection:
        connection.send(sent)
        for _ in range(99):
            assert connection.answer().body == content(100_000)
        assert connection.answer().json()["path"] == "/last"
        assert connection.is_closed()


def test_bodies_in_chunks_are_told_apart(asked: Running) -> None:
    sent = b""
    for number in range(100):
        body = content(number + 1)
        sent += head("POST", "/raw", "Transfer-Encoding: chunked")
        sent += b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)

    with Connection(asked) as connection:
        connection.send(sent)
        for number in range(100):
            assert connection.answer("POST").body == content(number + 1)

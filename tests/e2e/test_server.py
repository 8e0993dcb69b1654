"""`postern run` as its clients see it: real processes, real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.support.members import Member
from tests.support.processes import PROGRAMS, Running, environment, running, unmeasured, wait_until
from tests.support.sockets import Answer, Connection, ask, dribble, head, is_refused

SECRET_KEY = "e2e-0123456789-abcdefghijklmnopqrstuvwxyz"
SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.fixture(scope="module")
def env(database_url: str) -> dict[str, str]:
    """Production, with limits that a test can wait for."""
    return environment(
        APP_ENV="production",
        SECRET_KEY=SECRET_KEY,
        DATABASE_URL=database_url,
        BODY_SECONDS="1",
        STALL_SECONDS="1",
        LOCK_SECONDS="10",
        STATEMENT_SECONDS="10",
    )


@pytest.fixture(scope="module")
def server(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One process for all tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("server")
    with running(PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", folder=folder, env=env) as server:
        yield server


@pytest.fixture
def own_server(env: dict[str, str], tmp_path: Path) -> Iterator[Running]:
    """A process for a test that ends it."""
    started = running(PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", folder=tmp_path, env=unmeasured(env))
    with started as server:
        yield server


@pytest.fixture
def connection(server: Running) -> Iterator[Connection]:
    with Connection(server) as connection:
        yield connection


def assert_refusal(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    document = answer.json()
    assert (document["code"], document["request_id"]) == (code, answer.headers["x-request-id"])
    assert {name: answer.headers.get(name) for name in SECURITY} == SECURITY
    assert "server" not in answer.headers


# A user's day


def test_register_log_in_refresh_and_log_out(server: Running, connection: Connection) -> None:
    member = Member(server)
    assert connection.call("GET", "/api/auth/me", token=member.access_token).json()["email"] == member.email
    fresh = connection.call("POST", "/api/auth/refresh", token=member.refresh_token).json()
    assert connection.call("GET", "/api/auth/me", token=fresh["access_token"]).status == 200
    assert connection.call("DELETE", "/api/auth/logout", token=fresh["access_token"]).status == 200
    for token in (member.access_token, fresh["access_token"]):
        assert connection.call("GET", "/api/auth/me", token=token).json()["code"] == "TOKEN_REVOKED"


@pytest.mark.parametrize(
    ("target", "status"), [("/", 200), ("/livez", 200), ("/readyz", 200), ("/metrics", 200), ("/nowhere", 404)]
)
def test_every_answer_is_hardened_and_nameless(connection: Connection, target: str, status: int) -> None:
    answer = connection.request("GET", target)
    assert answer.status == status
    assert {name: answer.headers.get(name) for name in SECURITY} == SECURITY
    assert "server" not in answer.headers
    assert "x-request-id" in answer.headers


def test_a_request_leaves_one_access_line(server: Running, connection: Connection) -> None:
    connection.request("GET", "/nowhere?token=hunter2", "X-Request-ID: access-line-1")
    wait_until(lambda: server.access_lines("access-line-1"))
    (line,) = server.access_lines("access-line-1")
    assert (line["method"], line["path"], line["status"], line["client"]) == ("GET", "/nowhere", 404, "127.0.0.1")
    assert "hunter2" not in server.output()


# Malformed HTTP

MALFORMED = {
    "no colon": b"GET /livez HTTP/1.1\r\nHost: a\r\nno colon here\r\n\r\n",
    "space before the colon": b"GET /livez HTTP/1.1\r\nHost : a\r\n\r\n",
    "no Host": b"GET /livez HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "Content-Length no number": b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: five\r\n\r\n",
    "Content-Length negative": b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "two Content-Lengths": b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "Content-Length and Transfer-Encoding": (
        b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "unknown Transfer-Encoding": b"POST /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    "chunked twice": b"POST /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "NUL in a header": b"GET /livez HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    "no version": b"GET /livez\r\n\r\n",
    "method in lower case": b"get /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "target without a slash": b"GET livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "absolute form without a host": b"GET http:///livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "absolute form with a user": b"GET http://u:p@a/livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "no such version": b"GET /livez HTTP/3.0\r\nHost: a\r\n\r\n",
    "space in the target": b"GET /li vez HTTP/1.1\r\nHost: a\r\n\r\n",
    "target not ASCII": b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
    "garbage": b"\x00\x01\x02\x03\xff\xfe\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(100)) + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "a chunk without a size": (
        b"POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nnothing\r\n"
    ),
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_http_is_answered_with_a_problem_and_ends_the_connection(connection: Connection, sent: bytes) -> None:
    answer = connection.send(sent).answer()
    assert_refusal(answer, 400, "MALFORMED_REQUEST")
    assert answer.headers["connection"] == "close"
    assert connection.is_closed()


def test_an_unknown_transfer_coding_is_not_implemented(server: Running, connection: Connection) -> None:
    """RFC 9112 §6.1; a body that is not chunked at last has no end, and is malformed."""
    sent = head("POST", "/api/auth/login", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n"
    answer = connection.send(sent).answer()
    assert_refusal(answer, 501, "NOT_IMPLEMENTED")
    assert connection.is_closed()
    assert [line["status"] for line in server.access_lines(answer.headers["x-request-id"])] == [501]


@pytest.mark.parametrize("kind", ["no Host", "Content-Length and Transfer-Encoding", "HTTP/2", "garbage"])
def test_malformed_http_leaves_one_access_line(server: Running, connection: Connection, kind: str) -> None:
    answer = connection.send(MALFORMED[kind]).answer()
    wait_until(lambda: server.access_lines(answer.headers["x-request-id"]))
    (line,) = server.access_lines(answer.headers["x-request-id"])
    assert line["status"] == 400


def test_a_request_that_breaks_off_in_its_body_leaves_one_access_line(server: Running, connection: Connection) -> None:
    before = len(server.log_lines())
    connection.send(MALFORMED["a chunk without a size"]).answer()
    assert connection.is_closed()
    ask(server, "GET", "/livez")  # what comes late has come when this is logged, too
    wait_until(lambda: any(line.get("path") == "/livez" for line in server.log_lines()[before:]))
    statuses = [line["status"] for line in server.log_lines()[before:] if line["logger"] == "postern.access"]
    assert statuses in ([400, 200], [499, 200])  # once the application is asked, its client has left


@pytest.mark.parametrize("size", [20_000, 45_000, 1_000_000], ids=["the edge's", "the parser's", "huge"])
def test_a_huge_header_block_is_a_431(connection: Connection, size: int) -> None:
    try:
        connection.send(head("GET", "/livez", "X-Fill: " + "a" * size))
    except ConnectionError:
        assert size > 100_000  # it need not be read to its end
    assert_refusal(connection.answer(), 431, "HEADERS_TOO_LARGE")


def test_many_headers_are_a_431(connection: Connection) -> None:
    answer = connection.request("GET", "/livez", *["X: y"] * 64)
    assert_refusal(answer, 431, "HEADERS_TOO_LARGE")


@pytest.mark.parametrize("size", [5_000, 45_000], ids=["the edge's", "the parser's"])
def test_a_long_url_is_a_414(connection: Connection, size: int) -> None:
    assert_refusal(connection.request("GET", "/" + "a" * size), 414, "URI_TOO_LONG")


# What servers leave to others


def test_an_upgrade_to_h2c_is_answered_as_http_1(connection: Connection) -> None:
    answer = connection.request(
        "GET",
        "/livez",
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    )
    assert (answer.status, answer.json()) == (200, {"status": "ok"})
    assert connection.request("GET", "/livez").status == 200


def test_connect_is_refused_promptly(connection: Connection) -> None:
    started = time.monotonic()
    answer = connection.send(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n").answer()
    assert_refusal(answer, 405, "METHOD_NOT_ALLOWED")
    assert time.monotonic() - started < 1


WEBSOCKET = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]


def test_a_websocket_is_refused_with_a_problem(connection: Connection) -> None:
    answer = connection.request("GET", "/api/x", *WEBSOCKET, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    assert_refusal(answer, 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "sent",
    [
        b"HEAD /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HEAD /livez HTTP/2.0\r\nHost: a\r\n\r\n",
        b"head /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=["two lengths", "another version", "lower case"],
)
def test_a_malformed_head_request_is_refused_without_a_traceback(own_server: Running, sent: bytes) -> None:
    with Connection(own_server) as connection:
        assert connection.send(sent).answer("HEAD").status == 400
    assert own_server.stop() == 0
    assert "Traceback" not in own_server.output()


def test_a_handshake_with_something_behind_it_is_a_request_like_others(connection: Connection) -> None:
    asked = head("GET", "/livez", *WEBSOCKET, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    answer = connection.send(asked + head("GET", "/livez")).answer()
    assert (answer.status, answer.json()) == (200, {"status": "ok"})


def test_a_half_closed_connection_ends_with_its_answer(connection: Connection) -> None:
    connection.send(head("GET", "/livez"))
    connection.socket.shutdown(socket.SHUT_WR)
    assert connection.answer().status == 200
    assert connection.is_closed()


def test_a_websocket_handshake_that_is_none_is_a_problem_too(connection: Connection) -> None:
    answer = connection.request("GET", "/api/x", *WEBSOCKET)
    assert answer.status in (400, 404)
    assert_refusal(answer, answer.status, answer.json()["code"])


def test_the_absolute_form_of_a_target_is_accepted(server: Running, connection: Connection) -> None:
    """RFC 9112 §3.2.2: a server has to."""
    assert connection.request("GET", "http://postern.test/livez").status == 200


def test_requests_share_a_connection(connection: Connection) -> None:
    assert [connection.request("GET", "/livez").status for _ in range(20)] == [200] * 20


def test_a_client_may_ask_to_close(connection: Connection) -> None:
    answer = connection.request("GET", "/livez", "Connection: close")
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert connection.is_closed()


def test_a_connection_that_its_client_has_closed_is_let_go(own_server: Running) -> None:
    ask(own_server, "GET", "/livez")
    before = own_server.descriptors()
    for _ in range(50):
        assert ask(own_server, "GET", "/livez").status == 200
    wait_until(lambda: own_server.descriptors() <= before, 3)


def test_http_1_0_is_answered_and_closed(connection: Connection) -> None:
    answer = connection.send(b"GET /livez HTTP/1.0\r\n\r\n").answer()
    assert (answer.status, answer.json()) == (200, {"status": "ok"})
    assert connection.is_closed()


def test_pipelined_requests_are_answered_in_order(connection: Connection) -> None:
    targets = ["/livez", "/nowhere", "/", "/readyz", "/%00", "/livez"] * 5
    connection.send(
        b"".join(head("GET", target, f"X-Request-ID: in-turn-{at:03}") for at, target in enumerate(targets))
    )
    answers = [connection.answer() for _ in targets]
    assert [answer.headers["x-request-id"] for answer in answers] == [f"in-turn-{at:03}" for at in range(len(targets))]
    assert [answer.status for answer in answers] == [200, 404, 200, 200, 400, 200] * 5


def test_a_request_may_come_in_pieces(connection: Connection) -> None:
    for byte in head("GET", "/livez"):
        connection.send(bytes([byte]))
    assert connection.answer().status == 200


def test_head_is_answered_without_a_body(connection: Connection) -> None:
    answer = connection.request("HEAD", "/livez")
    assert (answer.status, answer.body) == (200, b"")
    assert connection.request("GET", "/livez").status == 200


async def test_hundreds_of_clients_are_served_at_once(server: Running) -> None:
    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head("GET", "/livez", "Connection: close"))
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async with asyncio.timeout(20):
        answers = await asyncio.gather(*(ask() for _ in range(300)))
    assert {answer.split(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}


# Bodies

LOGIN = json.dumps({"email": "nobody@example.com", "password": "wrong password"}).encode()
JSON = "Content-Type: application/json"


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_a_chunked_body_is_read(connection: Connection) -> None:
    connection.send(head("POST", "/api/auth/login", JSON, "Transfer-Encoding: chunked"))
    answer = connection.send(chunked(LOGIN[:10], LOGIN[10:])).answer()
    assert (answer.status, answer.json()["code"]) == (401, "INVALID_CREDENTIALS")


def test_a_client_that_waits_to_continue_is_told_to(connection: Connection) -> None:
    connection.send(head("POST", "/api/auth/login", JSON, "Expect: 100-continue", f"Content-Length: {len(LOGIN)}"))
    assert connection.answer().status == 100
    assert connection.send(LOGIN).answer().status == 401


@pytest.mark.parametrize("expects", [[], ["Expect: 100-continue"]], ids=["sends", "waits to continue"])
def test_a_body_that_announces_too_much_is_refused_unread(connection: Connection, expects: list[str]) -> None:
    connection.send(head("POST", "/api/auth/login", JSON, *expects, f"Content-Length: {2**20 + 1}"))
    answer = connection.answer()
    if answer.status == 100:
        answer = connection.answer()
    assert_refusal(answer, 413, "PAYLOAD_TOO_LARGE")
    assert answer.headers["connection"] == "close"


def test_a_chunked_body_that_grows_too_large_is_refused(connection: Connection) -> None:
    connection.send(head("POST", "/api/auth/login", JSON, "Transfer-Encoding: chunked"))
    connection.send(chunked(*[b" " * 2**16] * 17))
    assert_refusal(connection.answer(), 413, "PAYLOAD_TOO_LARGE")


def test_a_body_of_just_the_bound_is_read(connection: Connection) -> None:
    answer = connection.request("POST", "/api/auth/login", JSON, body=LOGIN + b" " * (2**20 - len(LOGIN)))
    assert answer.status == 401


def send_slowly(connection: Connection, size: int) -> None:
    for _ in range(20):
        connection.send(b" " * (size // 20))
        time.sleep(0.01)


@pytest.mark.parametrize("length", [2 * 2**20, 20 * 2**20], ids=["2 MiB", "20 MiB"])
def test_a_client_that_still_sends_gets_its_early_answer(connection: Connection, length: int) -> None:
    connection.send(head("POST", "/api/auth/login", JSON, f"Content-Length: {length}"))
    send_slowly(connection, length)
    assert_refusal(connection.answer(), 413, "PAYLOAD_TOO_LARGE")
    assert connection.is_closed()


def test_early_answers_leave_no_descriptor_behind(own_server: Running) -> None:
    ask(own_server, "GET", "/livez")
    before = own_server.descriptors()
    for finishes in [True, False] * 10:
        with Connection(own_server) as connection:
            connection.send(head("POST", "/api/auth/login", JSON, f"Content-Length: {2 * 2**20}"))
            if finishes:
                send_slowly(connection, 2 * 2**20)
            assert connection.answer().status == 413
    wait_until(lambda: own_server.descriptors() <= before, 8)


def test_an_early_answer_to_a_client_that_never_goes_on_is_given_up(own_server: Running) -> None:
    ask(own_server, "GET", "/livez")
    before = own_server.descriptors()
    with Connection(own_server) as connection:
        connection.send(head("POST", "/api/auth/login", JSON, f"Content-Length: {2 * 2**20}"))
        assert connection.answer().status == 413
        wait_until(lambda: own_server.descriptors() <= before, 8)


def test_a_body_that_comes_too_slowly_is_a_408(connection: Connection) -> None:
    connection.send(head("POST", "/api/auth/login", JSON, "Content-Length: 1000"))
    started = time.monotonic()
    dribble(connection, seconds=1.5)
    assert_refusal(connection.answer(), 408, "REQUEST_TIMEOUT")
    assert time.monotonic() - started < 4


def test_a_client_that_stops_reading_is_cut_off(own_server: Running) -> None:
    ask(own_server, "GET", "/livez")
    before = at_rest(own_server)
    with Connection(own_server, receive_buffer=4096) as connection:
        fill(connection)
        assert own_server.descriptors() > before
        wait_until(lambda: own_server.descriptors() <= before, 8)
        assert own_server.stop(signal.SIGTERM, 5) == 0  # nothing of it is left to be waited for
    _, found, traceback = own_server.output().partition("Traceback")
    assert not found, traceback[:3000].replace("\\n", "\n")


def at_rest(server: Running) -> int:
    """Descriptors once the connection of the request before is gone."""
    counts = []
    for _ in range(10):
        counts.append(server.descriptors())
        time.sleep(0.03)
    return min(counts)


def fill(connection: Connection) -> None:
    """Ask, and read no answer, until neither side takes more."""
    connection.socket.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        while True:
            connection.send(head("GET", "/metrics") * 50)


# Clients and locks


async def lock_row(database_url: str, user_id: int) -> asyncpg.Connection:
    """Hold a user's row, so that whoever changes it waits until this connection is closed."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    await connection.execute("BEGIN")
    await connection.execute("UPDATE users SET username = username WHERE id = $1", user_id)
    return connection


async def until_count(connection: asyncpg.Connection, condition: str, count: int) -> None:
    """Wait until so many connections of the service are in this state."""
    query = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'postern' AND ({condition})"
    async with asyncio.timeout(12):
        while True:
            await connection.execute("SELECT pg_stat_clear_snapshot()")
            if await connection.fetchval(query) == count:
                return
            await asyncio.sleep(0.02)


def begin_change(connection: Connection, member: Member) -> None:
    body = json.dumps({"username": f"changed{member.id}"})
    lines = [JSON, f"Authorization: Bearer {member.access_token}", f"Content-Length: {len(body)}"]
    connection.send(head("PATCH", f"/api/users/{member.id}", *lines) + body.encode())


async def test_a_client_that_leaves_holds_no_connection_to_the_database(server: Running, database_url: str) -> None:
    member = Member(server)
    locked = await lock_row(database_url, member.id)
    try:
        with Connection(server) as connection:
            begin_change(connection, member)
            await until_count(locked, "wait_event_type = 'Lock'", 1)
    finally:
        await locked.execute("ROLLBACK")
    await until_count(locked, "state LIKE 'idle in transaction%' OR state = 'active'", 0)
    await locked.close()
    assert ask(server, "GET", "/api/auth/me", token=member.access_token).status == 200


# Stopping


async def test_a_request_in_flight_ends_before_the_service_does(own_server: Running, database_url: str) -> None:
    member = Member(own_server)
    locked = await lock_row(database_url, member.id)
    try:
        with Connection(own_server) as connection:
            begin_change(connection, member)
            await until_count(locked, "wait_event_type = 'Lock'", 1)
            own_server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: is_refused(own_server))
            await locked.execute("ROLLBACK")
            answer = connection.answer()
    finally:
        await locked.close()
    assert (answer.status, answer.json()["username"]) == (200, f"changed{member.id}")
    assert answer.headers["connection"] == "close"
    assert own_server.process.wait(5) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_service_in_peace(own_server: Running, number: signal.Signals) -> None:
    with Connection(own_server) as idle:
        assert idle.request("GET", "/livez").status == 200
        assert own_server.stop(number, 5) == 0
        assert idle.is_closed()
    assert "Traceback" not in own_server.output()


LEFT_OPEN = MALFORMED | {
    "a handshake that is none": head("GET", "/", *WEBSOCKET),
    "a handshake": head("GET", "/", *WEBSOCKET, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    "CONNECT": head("CONNECT", "example.com:443"),
    "h2c": head("GET", "/", "Connection: Upgrade", "Upgrade: h2c"),
    "part of a head": b"GET / HT",
}


def test_clients_that_stay_after_a_broken_request_do_not_delay_the_end(own_server: Running) -> None:
    with contextlib.ExitStack() as connections:
        for sent in LEFT_OPEN.values():
            connections.enter_context(Connection(own_server)).send(sent)
        assert ask(own_server, "GET", "/livez").status == 200
        assert own_server.stop(signal.SIGTERM, 8) == 0
    assert "Traceback" not in own_server.output()

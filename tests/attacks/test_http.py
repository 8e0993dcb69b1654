"""HTTP itself, bent: framing that two readers could take for different requests, other protocols, and no protocol."""

from __future__ import annotations

import json
import socket
import struct

import pytest
from tests.support.accounts import Account
from tests.support.attacks import Arena, Attack, attacking
from tests.support.sockets import Answer, head

JSON = "Content-Type: application/json"
LOGIN = json.dumps({"email": "nobody@example.com", "password": "not a password"}).encode()
SMUGGLED = b"GET /api/auth/admin-only HTTP/1.1\r\nHost: smuggled\r\n\r\n"


@pytest.fixture(scope="module")
def ann(arena: Arena) -> Account:
    with attacking(arena) as attack:
        return attack.signed_in()


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json()["code"]) == (status, code), answer


def post(*lines: str, body: bytes = b"") -> bytes:
    return head("POST", "/api/auth/login", JSON, *lines) + body


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


AMBIGUOUS = {
    "CL.TE": post("Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "TE.CL": post("Transfer-Encoding: chunked", "Content-Length: 3", body=b"0\r\n\r\n"),
    "CL.TE, CL 0": post("Content-Length: 0", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "CL.TE in lower case": post("content-length: 5", "transfer-encoding: chunked", body=b"0\r\n\r\n"),
    "TE and identity": post("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=b"0\r\n\r\n"),
    "TE: identity": post("Transfer-Encoding: identity"),
    "TE: xchunked": post("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "TE: chunked, identity": post("Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
    "TE: chunked twice": post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "TE: in quotes": post('Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
    "TE: a parameter": post("Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"),
    "TE: a vertical tab": post("Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "TE: empty": post("Transfer-Encoding:", body=b"0\r\n\r\n"),
    "TE before a colon with a space": post("Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    "TE before a colon with a tab": post("Transfer-Encoding\t: chunked", body=b"0\r\n\r\n"),
    "TE folded, and CL": post("Content-Length: 5", "Transfer-Encoding:", " chunked", body=b"0\r\n\r\n"),
    "two CL": post("Content-Length: 0", f"Content-Length: {len(SMUGGLED)}"),
    "two CL in one": post(f"Content-Length: 0, {len(SMUGGLED)}"),
    "two CL alike": post("Content-Length: 5", "Content-Length: 5", body=b"12345"),
    "two CL alike in one": post("Content-Length: 5, 5", body=b"12345"),
    "CL negative": post("Content-Length: -1"),
    "CL with a plus": post("Content-Length: +5", body=b"12345"),
    "CL hexadecimal": post("Content-Length: 0x5", body=b"12345"),
    "CL a decimal": post("Content-Length: 5.0", body=b"12345"),
    "CL an exponent": post("Content-Length: 1e1", body=b"1234567890"),
    "CL with an underscore": post("Content-Length: 1_0", body=b"1234567890"),
    "CL with a space inside": post("Content-Length: 1 0", body=b"1234567890"),
    "CL a word": post("Content-Length: five", body=b"12345"),
    "CL empty": post("Content-Length:"),
    "CL of 30 digits": post("Content-Length: " + "9" * 30),
    "CL in superscript": post("Content-Length: \u00b9"),
    "CL before a colon with a space": post("Content-Length : 5", body=b"12345"),
    "a bare CR in a value": head("GET", "/livez", "X: a\rContent-Length: 5"),
    "a control character in a value": head("GET", "/livez", "User-Agent: \x1b[2J"),
    "a Host with two ports": b"GET /livez HTTP/1.1\r\nHost: a:1:2\r\n\r\n",
    "a Host of half an address": b"GET /livez HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "a NUL in a name": head("GET", "/livez", "X\0: a"),
    "a space in a name": head("GET", "/livez", "X Y: a"),
    "a name of nothing": head("GET", "/livez", ": a"),
    "a name not ASCII": head("GET", "/livez", "\u00e4: a"),
    "no colon": head("GET", "/livez", "nothing"),
    "a fold": post("X-Folded: a", " b", f"Content-Length: {len(LOGIN)}", body=LOGIN),
    "a fold by a tab": head("GET", "/livez", "X: a", "\tb"),
    "bare line feeds": post(f"Content-Length: {len(LOGIN)}").replace(b"\r\n", b"\n") + LOGIN,
    "one bare line feed": head("GET", "/livez", "X: a\nContent-Length: 5"),
    "empty lines without end": b"\r\n" * 20 + head("GET", "/livez"),
    "a bare line feed before it": b"\n" + head("GET", "/livez"),
    "a Host that is none": b"GET /livez HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a fold first": b"GET /livez HTTP/1.1\r\n Host: a\r\n\r\n",
    "two Hosts": head("GET", "/livez", "Host: b"),
    "no Host": b"GET /livez HTTP/1.1\r\nX: y\r\n\r\n",
    "a request in a header": head("GET", "/livez", "X: y\r\n\r\0" + SMUGGLED.decode()),
}


@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_a_request_of_two_readings_is_refused_and_nothing_behind_it_is_read(attack: Attack, sent: bytes) -> None:
    connection = attack.connect()
    answer = connection.send(sent + SMUGGLED).answer()
    assert_refused(answer, 400, "MALFORMED_REQUEST")
    assert answer.headers["connection"] == "close"
    assert connection.is_closed()


NO_HTTP = {
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(128)) + b"\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.0\r\n\r\n",
    "SMTP": b"EHLO evil.example\r\n\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n\r\n",
    "the proxy protocol": b"PROXY TCP4 203.0.113.9 127.0.0.1 1 80\r\n" + SMUGGLED,
    "HTTP/0.9": b"GET /livez\r\n\r\n",
    "HTTP/1.1 in lower case": b"GET /livez http/1.1\r\nHost: a\r\n\r\n",
    "HTTP/1.2": b"GET /livez HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/2.0": b"GET /livez HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/1.10": b"GET /livez HTTP/1.10\r\nHost: a\r\n\r\n",
    "HTTP/ 1.1": b"GET /livez HTTP/ 1.1\r\nHost: a\r\n\r\n",
    "two spaces": b"GET  /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tab": b"GET\t/livez\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "a space in the target": b"GET /li vez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a NUL in the target": b"GET /livez\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target not ASCII": b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
    "no target": b"GET HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target of a word": b"GET livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target of a star": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "another scheme": b"GET ftp://a/livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a file": b"GET file:///etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
    "a user in the target": b"GET http://a:b@evil.example/livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment": b"GET /livez#x HTTP/1.1\r\nHost: a\r\n\r\n",
    "a backslash in the target's host": b"GET http://a\\b/livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "half an address in the target": b"GET http://[/livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target without a host": b"GET http:///livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method in lower case": b"get /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method in mixed case": b"Get /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method with a sign": b"G@T /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "no method": b" /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "garbage": bytes(range(256)) + b"\r\n\r\n",
    "NULs": bytes(100) + b"\r\n\r\n",
}


@pytest.mark.parametrize("sent", NO_HTTP.values(), ids=NO_HTTP.keys())
def test_what_is_no_http_1_is_malformed(attack: Attack, sent: bytes) -> None:
    connection = attack.connect()
    assert_refused(connection.send(sent).answer(), 400, "MALFORMED_REQUEST")
    assert connection.is_closed()


# What breaks off inside a body: the answer's id is in no line, and the line says that the client left.

BROKEN = {
    "no size": b"nothing\r\n",
    "a negative size": b"-1\r\n",
    "a size with a sign": b"+5\r\n12345\r\n",
    "a size with 0x": b"0x5\r\n12345\r\n",
    "a size with an underscore": b"1_0\r\n",
    "a size with a space before": b" 5\r\n12345\r\n",
    "an empty size": b"\r\n",
    "a size of 30 digits": b"f" * 30 + b"\r\n",
    "a chunk longer than its size": b"3\r\n12345\r\n0\r\n\r\n",
    "a chunk without its end": b"5\r\n12345XX0\r\n\r\n",
    "a bare line feed behind a size": b"5\n12345\r\n0\r\n\r\n",
    "a bare line feed behind a chunk": b"5\r\n12345\n0\r\n\r\n",
    "a space behind a size": b"5 \r\n12345\r\n0\r\n\r\n",
    "an extension without a name": b"5;=a\r\n12345\r\n0\r\n\r\n",
    "an extension of 300 bytes": b"5;" + b"a" * 300 + b"\r\n12345\r\n0\r\n\r\n",
    "a trailer that is none": b"0\r\nno colon\r\n\r\n",
    "a folded trailer": b"0\r\nX: a\r\n b\r\n\r\n",
    "chunks of a byte without end": b"1\r\nx\r\n" * 4200,
    "a NUL in an extension": b"5;a=\0\r\n12345\r\n",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_a_bad_chunk_ends_the_connection(attack: Attack, body: bytes) -> None:
    connection = attack.connect()
    answer = connection.send(post("Transfer-Encoding: chunked") + body + SMUGGLED).answer()
    attack.breaks_off(answer)
    assert_refused(answer, 400, "MALFORMED_REQUEST")
    assert connection.is_closed()


@pytest.mark.parametrize(
    "sent",
    [
        post(f"Content-Length: {len(LOGIN)}") + LOGIN[:10],
        post("Content-Length: 1000000") + b" " * 1000,
        post("Transfer-Encoding: chunked") + b"5\r\n12",
        post("Transfer-Encoding: chunked") + b"5\r\n12345\r\n",
        post("Transfer-Encoding: chunked"),
        post("Content-Length: 10"),
    ],
    ids=["half", "a thousandth", "half a chunk", "no last chunk", "no chunk", "nothing"],
)
def test_a_client_that_leaves_within_its_body_is_let_go(attack: Attack, sent: bytes) -> None:
    connection = attack.connect()
    connection.send(sent)
    connection.__exit__()
    attack.breaks_off()


@pytest.mark.parametrize("line", ["Content-Length: 1000", "Transfer-Encoding: chunked"], ids=["whole", "chunked"])
def test_a_client_that_resets_within_its_body_is_let_go(attack: Attack, line: str) -> None:
    connection = attack.connect()
    assert connection.send(post("Expect: 100-continue", line)).answer().status == 100
    connection.send(b"5\r\n12")
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.__exit__()
    attack.breaks_off()


@pytest.mark.parametrize(
    "sent",
    [b"G", b"GET /livez HTTP/1.1\r\n", b"GET /livez HTTP/1.1\r\nHost: a\r\n"],
    ids=["a byte", "a line", "no last line"],
)
def test_a_head_that_breaks_off_is_malformed(attack: Attack, sent: bytes) -> None:
    connection = attack.connect()
    connection.send(sent)
    connection.socket.shutdown(socket.SHUT_WR)
    assert_refused(connection.answer(), 400, "MALFORMED_REQUEST")
    assert connection.is_closed()


def test_a_client_that_says_nothing_has_asked_nothing(attack: Attack) -> None:
    connection = attack.connect()
    connection.socket.shutdown(socket.SHUT_WR)
    assert connection.is_closed()


# What is read, and how


READ = {
    "chunked": post("Transfer-Encoding: chunked", body=chunked(LOGIN)),
    "chunked in pieces": post(
        "Transfer-Encoding: chunked", body=chunked(*[LOGIN[at : at + 1] for at in range(len(LOGIN))])
    ),
    "TE in upper case": post("TRANSFER-ENCODING: CHUNKED", body=chunked(LOGIN)),
    "a chunk extension": post("Transfer-Encoding: chunked", body=b"%x;a=b;c\r\n%s\r\n0\r\n\r\n" % (len(LOGIN), LOGIN)),
    "a size with zeros": post("Transfer-Encoding: chunked", body=b"000%x\r\n%s\r\n0\r\n\r\n" % (len(LOGIN), LOGIN)),
    "trailers": post(
        "Transfer-Encoding: chunked",
        body=chunked(LOGIN)[:-2]
        + b"Content-Length: 0\r\nContent-Type: text/plain\r\nX-Request-ID: a-trailers-id\r\n\r\n",
    ),
    "empty lines before it": b"\r\n\r\n" + post(f"Content-Length: {len(LOGIN)}", body=LOGIN),
}


@pytest.mark.parametrize("sent", READ.values(), ids=READ.keys())
def test_framing_that_has_one_reading_is_read(attack: Attack, sent: bytes) -> None:
    """The request behind it is one of its own: the body ended where it said."""
    connection = attack.connect()
    connection.send(sent + head("GET", "/livez", "Connection: close"))
    assert_refused(connection.answer(), 401, "INVALID_CREDENTIALS")
    assert connection.answer().json() == {"status": "ok"}
    assert connection.is_closed()


def test_a_body_is_not_the_next_request(attack: Attack) -> None:
    connection = attack.connect()
    for method in ("GET", "DELETE", "OPTIONS"):
        connection.send(head(method, "/api/auth/logout", f"Content-Length: {len(SMUGGLED)}") + SMUGGLED)
        assert connection.answer().status in (200, 204, 401, 405)
    connection.send(head("GET", "/livez", "Connection: close"))
    assert connection.answer().json() == {"status": "ok"}
    assert connection.is_closed()


def test_fifty_pipelined_requests_are_answered_in_order(attack: Attack, ann: Account) -> None:
    connection = attack.connect()
    ids = [f"in-order-{number:03}" for number in range(50)]
    for number, request_id in enumerate(ids):
        token = ann.access_token if number % 2 else "nobodys-token"
        connection.send(head("GET", "/api/auth/me", f"X-Request-ID: {request_id}", f"Authorization: Bearer {token}"))
    answers = [connection.answer() for _ in ids]
    assert [answer.headers["x-request-id"] for answer in answers] == ids
    assert [answer.status for answer in answers] == [401, 200] * 25


@pytest.mark.parametrize(
    "lines",
    [
        ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"],
        ["Connection: Upgrade", "Upgrade: h2c"],
        ["Connection: Upgrade", "Upgrade: TLS/1.2"],
        ["Connection: Upgrade", "Upgrade: websocket"],
        ["Connection: Upgrade", "Upgrade: foo, h2c"],
        ["Connection: close, Authorization"],
        ["Connection: Host"],
        ["Keep-Alive: timeout=1000000"],
        ["TE: trailers"],
        ["Range: bytes=0-0,1-1,2-"],
        ["If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"],
        ["Max-Forwards: 0"],
        ["Accept-Encoding: gzip;q=NaN"],
        ["Cookie: " + "a=b; " * 2000],
        ["Date: never"],
    ],
    ids=lambda lines: " / ".join(lines)[:40],
)
def test_no_header_brings_about_another_protocol(attack: Attack, lines: list[str]) -> None:
    connection = attack.connect()
    answer = connection.send(head("GET", "/livez", *lines)).answer()
    assert (answer.status, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("host", ["postern.test", "Postern.Test", "postern.test:"])
def test_the_absolute_form_is_read(attack: Attack, host: str) -> None:
    assert attack.request("GET", f"http://{host}/livez").json() == {"status": "ok"}
    assert_refused(attack.request("GET", f"http://{host}/api/auth/me"), 401, "TOKEN_MISSING")
    assert_refused(attack.request("GET", f"http://{host}//api/auth/me"), 404, "NOT_FOUND")
    assert attack.request("GET", f"HTTPS://{host}").json()["name"] == "postern"
    assert attack.request("GET", f"http://{host}?x=y").json()["name"] == "postern"


@pytest.mark.parametrize("host", ["evil.example", "postern.test.evil.example", "postern.test:8080"])
def test_an_absolute_form_with_another_host_than_host_is_refused(attack: Attack, host: str) -> None:
    assert_refused(attack.request("GET", f"http://{host}/livez"), 400, "MALFORMED_REQUEST")


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "DEBUG", "PROPFIND", "PURGE", "PRI", "A" * 3000])
def test_a_method_of_no_route_is_not_allowed(attack: Attack, ann: Account, method: str) -> None:
    answer = attack.request(method, "/api/auth/me", f"Authorization: Bearer {ann.access_token}", "X-Secret: hunter2")
    assert_refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert b"hunter2" not in answer.body


def test_connect_is_not_allowed(attack: Attack) -> None:
    sent = b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n"
    connection = attack.connect()
    assert_refused(connection.send(sent + head("GET", "/livez")).answer(), 405, "METHOD_NOT_ALLOWED")
    assert connection.is_closed()


@pytest.mark.parametrize("target", ["evil.example:443", "postern.test", "/api/auth/me", "http://postern.test/"])
def test_connect_in_another_form_is_malformed(attack: Attack, target: str) -> None:
    assert_refused(attack.request("CONNECT", target), 400, "MALFORMED_REQUEST")


def test_options_of_everything_is_no_fault(attack: Attack) -> None:
    assert attack.request("OPTIONS", "*").status in (200, 204, 404)


@pytest.mark.parametrize(
    "lines",
    [["X: y"] * 64, ["X: y"] * 500, ["X-Fill: " + "a" * 17_000], ["X" * 17_000 + ": y"], ["X: " + "a" * 4_000] * 5],
    ids=["65 fields", "501 fields", "a long value", "a long name", "five values"],
)
def test_too_many_or_too_long_headers_are_refused(attack: Attack, lines: list[str]) -> None:
    assert_refused(attack.request("GET", "/livez", *lines), 431, "HEADERS_TOO_LARGE")


def test_64_fields_are_not_too_many(attack: Attack) -> None:
    assert attack.request("GET", "/livez", *["X: y"] * 63).status == 200


@pytest.mark.parametrize("size", [45_000, 300_000])
def test_a_head_that_goes_on_is_cut_off(attack: Attack, size: int) -> None:
    connection = attack.connect()
    try:
        connection.send(b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Fill: " + b"a" * size)
    except ConnectionError:
        assert size > 100_000  # it need not be read to its end
    assert_refused(connection.answer(), 431, "HEADERS_TOO_LARGE")


def test_a_body_announced_as_a_byte_too_long_is_refused(attack: Attack) -> None:
    answer = attack.request("POST", "/api/auth/login", JSON, body=b" " * (2**20 + 1))
    assert_refused(answer, 413, "PAYLOAD_TOO_LARGE")


def test_a_chunked_body_that_becomes_a_byte_too_long_is_refused(attack: Attack) -> None:
    connection = attack.connect()
    connection.send(post("Transfer-Encoding: chunked") + chunked(b" " * 2**19, b" " * 2**19, b" "))
    assert_refused(connection.answer(), 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("length", [2**20 + 1, 2**31, 2**63, 2**64, 10**18])
def test_a_huge_body_is_refused_before_it_comes(attack: Attack, length: int) -> None:
    connection = attack.connect()
    answer = connection.send(post(f"Content-Length: {length}")).answer()
    assert_refused(answer, 413, "PAYLOAD_TOO_LARGE")
    assert answer.headers["connection"] == "close"


def test_who_waits_to_continue_is_told_to(attack: Attack) -> None:
    connection = attack.connect()
    assert connection.send(post("Expect: 100-continue", f"Content-Length: {len(LOGIN)}")).answer().status == 100
    assert_refused(connection.send(LOGIN).answer(), 401, "INVALID_CREDENTIALS")


def test_who_does_not_wait_to_continue_is_answered_once(attack: Attack) -> None:
    connection = attack.connect()
    connection.send(post("Expect: 100-continue", f"Content-Length: {len(LOGIN)}", body=LOGIN))
    answer = connection.answer()
    if answer.status == 100:
        answer = connection.answer()
    assert_refused(answer, 401, "INVALID_CREDENTIALS")
    assert connection.request("GET", "/livez", "Connection: close").status == 200
    assert connection.is_closed()


def test_another_expectation_is_no_fault(attack: Attack) -> None:
    answer = attack.request("POST", "/api/auth/login", JSON, "Expect: 200-maybe", body=LOGIN)
    assert answer.status in (401, 417)


@pytest.mark.parametrize(
    "sent",
    [b"GET /livez HTTP/1.0\r\n\r\n", b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"],
    ids=["as it is", "keep-alive"],
)
def test_http_1_0_is_answered_and_hardened(attack: Attack, sent: bytes) -> None:
    assert attack.connect().send(sent).answer().json() == {"status": "ok"}


@pytest.mark.parametrize("lines", [[], ["Content-Length: 5"]], ids=["alone", "beside a length"])
def test_http_1_0_with_chunks_ends_its_connection(attack: Attack, lines: list[str]) -> None:
    """RFC 9112 §6.1: such framing is faulty, whatever else it says."""
    connection = attack.connect()
    sent = head("POST", "/api/auth/login", JSON, "Connection: keep-alive", "Transfer-Encoding: chunked", *lines)
    answer = connection.send(sent.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n").answer()
    assert_refused(answer, 400, "MALFORMED_REQUEST")
    assert connection.is_closed()


def test_a_head_in_single_bytes_is_read(attack: Attack) -> None:
    connection = attack.connect()
    for byte in head("GET", "/livez"):
        connection.send(bytes([byte]))
    assert connection.answer().status == 200


@pytest.mark.parametrize("target", ["/livez", "/nowhere", "/api/auth/me", "/api/users/%ff", "/" + "a" * 5000])
def test_head_has_no_body_whatever_the_answer(attack: Attack, target: str) -> None:
    connection = attack.connect()
    connection.request("HEAD", target)
    assert connection.request("GET", "/livez").json() == {"status": "ok"}


@pytest.mark.parametrize("tail", [b"\r\n", b"x", head("GET", "/livez")], ids=["an empty line", "a byte", "a request"])
@pytest.mark.parametrize(
    ("version", "lines"),
    [(b"1.1", ["Connection: close"]), (b"1.0", []), (b"1.0", ["Connection: keep-alive, close"])],
    ids=["1.1, close", "1.0", "1.0, both"],
)
def test_what_stands_behind_the_last_request_does_not_take_its_answer_away(
    attack: Attack, version: bytes, lines: list[str], tail: bytes
) -> None:
    """RFC 9112 §9.6: it is not read. What the request has done has to be told."""
    username = f"lasting{next(attack.arena.numbers)}"
    body = json.dumps(
        {"username": username, "email": f"{username}@example.com", "password": "a fine password"}
    ).encode()
    sent = head("POST", "/api/users/", JSON, f"Content-Length: {len(body)}", *lines)
    connection = attack.connect()
    with attack.arranged():
        answer = connection.send(sent.replace(b"HTTP/1.1", b"HTTP/" + version) + body + tail).answer()
    assert answer.status == 201, answer
    assert connection.is_closed()

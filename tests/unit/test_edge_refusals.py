"""What the edge refuses before the product is asked, and what it lets through."""

from __future__ import annotations

import json
from typing import Any

import pytest
from service import trace
from service.edge import before_the_app
from tests.support.asgi import WHOLE, Wire, fetch, http_scope, shape
from tests.support.edge import Answering, access_lines, edge_over, header_values, never_asked, problem

ALLOWED = b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/" + "a" * 99, 200),
        ("/" + "a" * 100, 414),
        ("/a?" + "b" * 97, 200),
        ("/a?" + "b" * 98, 414),
        ("/" + "%41" * 33, 200),
        ("/" + "%41" * 34, 414),
    ],
    ids=["path at the bound", "path over it", "with a query at it", "with a query over it", "escaped", "escaped, over"],
)
async def test_a_url_is_bounded_as_it_was_sent(target: str, status: int) -> None:
    wire = await fetch(edge_over(Answering(), url_limit_bytes=100), target)
    assert wire.status == status


async def test_a_long_url_is_a_problem_of_its_own() -> None:
    problem(await fetch(edge_over(never_asked), "/" + "a" * 4096), 414, "URI_TOO_LONG")


def header_block(size: int) -> list[tuple[bytes, bytes]]:
    """Return fields that take so many bytes on the wire, each with its `: ` and line end."""
    return [(b"host", b"postern.test"), (b"x-fill", b"a" * (size - len(b"host: postern.test\r\nx-fill: \r\n")))]


@pytest.mark.parametrize(("size", "status"), [(16_384, 200), (16_385, 431)], ids=["at the bound", "over it"])
async def test_the_header_block_is_bounded_in_bytes(size: int, status: int) -> None:
    wire = await fetch(edge_over(Answering()), headers=header_block(size))
    assert wire.status == status


@pytest.mark.parametrize(("count", "status"), [(64, 200), (65, 431)], ids=["at the bound", "over it"])
async def test_the_header_block_is_bounded_in_fields(count: int, status: int) -> None:
    wire = await fetch(edge_over(Answering()), headers=[(b"x", b"")] * count)
    assert wire.status == status


async def test_a_large_header_block_is_a_problem_of_its_own() -> None:
    problem(await fetch(edge_over(never_asked), headers=header_block(20_000)), 431, "HEADERS_TOO_LARGE")


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
async def test_methods_of_proxies_are_refused_with_those_that_exist(method: str) -> None:
    wire = await fetch(edge_over(never_asked), method=method)
    problem(wire, 405, "METHOD_NOT_ALLOWED")
    assert wire.header(b"allow") == ALLOWED


async def test_a_connect_without_a_slash_is_refused_the_same() -> None:
    wire = await fetch(edge_over(never_asked), "example.com:443", "CONNECT")
    problem(wire, 405, "METHOD_NOT_ALLOWED")


async def test_an_unknown_method_is_the_applications_affair() -> None:
    wire = await fetch(edge_over(Answering(status=405)), method="BREW")
    assert wire.body == b"done"


no_text = pytest.mark.parametrize(
    "escapes",
    ["%00", "a%00b", "%ff", "%c3", "%c3%28", "%ed%a0%80", "%c0%80", "%f5%80%80%80", "%C3%A4%FF"],
    ids=[
        "NUL",
        "NUL within",
        "no byte of UTF-8",
        "cut short",
        "torn",
        "a surrogate",
        "overlong",
        "too high",
        "after text",
    ],
)


@no_text
async def test_a_path_that_is_not_text_is_refused(escapes: str) -> None:
    problem(await fetch(edge_over(never_asked), f"/{escapes}"), 400, "MALFORMED_REQUEST")


@no_text
@pytest.mark.parametrize("where", ["/a?b={}", "/a?{}=b"], ids=["value", "name"])
async def test_a_query_that_is_not_text_is_the_applications_to_refuse(where: str, escapes: str) -> None:
    assert (await traced(where.format(escapes))).malformed_query


@pytest.mark.parametrize("escapes", ["%c3%a4", "%F0%9F%90%8D", "%25", "%", "%zz", "%0a", "%2500"])
async def test_escapes_that_are_text_go_through(escapes: str) -> None:
    wire = await fetch(edge_over(Answering()), f"/{escapes}?q={escapes}")
    assert wire.status == 200


async def test_a_letter_is_not_made_of_the_path_and_the_query() -> None:
    wire = await fetch(edge_over(never_asked), "/%c3?%a4")
    assert wire.status == 400


@pytest.mark.parametrize("count", [0, 1, 2, 3])
async def test_two_authorization_headers_are_the_applications_to_refuse(count: int) -> None:
    headers = [(b"authorization", b"Bearer a")] * count
    assert (await traced("/", headers=headers)).two_authorizations is (count > 1)


async def traced(target: str, **changes: Any) -> trace.Trace:
    """What the application is told of a request for `target`."""
    seen: list[trace.Trace] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(trace.current.get())
        await Answering()(scope, receive, send)

    assert (await fetch(edge_over(app), target, **changes)).status == 200
    return seen[0]


@pytest.mark.parametrize(
    ("target", "method"), [("/%00", "HEAD"), ("/" + "a" * 5000, "HEAD")], ids=["malformed", "too long"]
)
async def test_a_refused_head_request_gets_the_head_only(target: str, method: str) -> None:
    wire = await fetch(edge_over(never_asked), target, method)
    asked_with_get = await fetch(edge_over(never_asked), target)
    assert (wire.status, wire.body) == (asked_with_get.status, b"")
    assert wire.header(b"content-length") == asked_with_get.header(b"content-length")


async def test_a_refusal_is_two_messages() -> None:
    assert shape(await fetch(edge_over(never_asked), "/%00")) == WHOLE


# WebSockets and the lifespan


def websocket_scope(target: str = "/chat", **changes: object) -> Any:
    scope = http_scope("GET", target, type="websocket", scheme="ws", subprotocols=[], **changes)
    del scope["method"]
    return scope


async def test_a_websocket_is_refused_with_a_problem() -> None:
    wire = Wire()
    scope = websocket_scope("/api/chat", extensions={"websocket.http.response": {}})
    await edge_over(never_asked)(scope, wire.receive, wire.send)
    assert [message["type"] for message in wire.sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    document = json.loads(wire.sent[1]["body"])
    assert (wire.status, document["code"]) == (404, "NOT_FOUND")
    assert wire.header(b"x-request-id") == document["request_id"].encode()
    assert (wire.header(b"x-frame-options"), wire.header(b"cache-control")) == (b"DENY", b"private, no-cache")


@pytest.mark.parametrize("changes", [{"extensions": {}}, {"extensions": None}], ids=["none of use", "none"])
async def test_a_websocket_that_can_not_be_answered_is_the_applications_affair(changes: dict[str, Any]) -> None:
    scopes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    scope, wire = websocket_scope(**changes), Wire()
    await edge_over(app)(scope, wire.receive, wire.send)
    assert (scopes, wire.sent) == ([scope], [])


async def test_the_lifespan_goes_through_untouched() -> None:
    calls: list[Any] = []

    async def app(*call: Any) -> None:
        calls.append(call)

    scope, wire = {"type": "lifespan", "asgi": {"version": "3.0"}}, Wire()
    call: Any = (scope, wire.receive, wire.send)
    await edge_over(app)(*call)
    assert calls == [call]


# Stopping


async def test_while_stopping_answers_close_their_connections() -> None:
    edge = edge_over(Answering())
    before = await fetch(edge)
    edge.drain()
    during = await fetch(edge)
    assert (before.header(b"connection"), during.header(b"connection")) == (None, b"close")


async def test_while_stopping_http_2_is_not_told_to_close() -> None:
    edge = edge_over(Answering())
    edge.drain()
    wire = await fetch(edge, http_version="2")
    assert wire.header(b"connection") is None


@pytest.mark.parametrize("target", ["/readyz", "/readyz?x"])
async def test_while_stopping_the_service_is_not_ready(target: str) -> None:
    edge = edge_over(never_asked)
    edge.drain()
    problem(await fetch(edge, target), 503, "UNAVAILABLE")


async def test_while_stopping_other_requests_are_served() -> None:
    edge = edge_over(Answering())
    edge.drain()
    assert (await fetch(edge, "/livez")).status == 200


# What no application sees


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "MALFORMED_REQUEST"),
        (408, "REQUEST_TIMEOUT"),
        (414, "URI_TOO_LONG"),
        (431, "HEADERS_TOO_LARGE"),
        (500, "INTERNAL_ERROR"),
        (501, "NOT_IMPLEMENTED"),
    ],
)
def test_a_request_that_is_none_gets_the_answer_that_others_get(
    status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "postern.access")
    wire = Wire()
    sent_status, headers, body = before_the_app(status, under_way=False, client="192.0.2.7")
    wire.sent = [{"status": sent_status, "headers": headers}]
    document = json.loads(body)
    assert (sent_status, document["code"]) == (status, code)
    assert header_values(wire, b"x-request-id") == [document["request_id"].encode()]
    assert wire.header(b"content-type") == b"application/problem+json"
    assert wire.header(b"x-content-type-options") == b"nosniff"
    assert [(line["status"], line["client"]) for line in access_lines(caplog)] == [(status, "192.0.2.7")]


def test_a_request_that_breaks_off_leaves_its_line_to_the_exchange(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "postern.access")
    status, _, _ = before_the_app(400, under_way=True)
    assert (status, access_lines(caplog)) == (400, [])


@pytest.mark.parametrize("target", ["//api/users/", "///metrics", "/api//users/", "/api%2Fusers/", "/%2fmetrics"])
async def test_a_path_that_proxies_and_werkzeug_read_differently_is_no_path(target: str) -> None:
    problem(await fetch(edge_over(never_asked), target), 404, "NOT_FOUND")

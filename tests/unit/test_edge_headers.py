"""What the edge puts on every answer: the request id, security, caching, CORS."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.support.asgi import ASGIApp, Wire, fetch, http_scope, serve
from tests.support.edge import Answering, edge_over, header_values, never_asked

SECURITY = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
PAGE = b"https://page.example.com"


async def failing(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("a bug")


def asking(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"headers": [(b"host", b"postern.test"), *headers]}


@pytest.mark.parametrize(
    "given",
    [b"a" * 8, b"Z" * 64, b"A-Za_z0.9", b"--------", b"12345678-1234"],
    ids=["shortest", "longest", "every kind", "dashes", "digits"],
)
async def test_the_callers_request_id_is_kept(given: bytes) -> None:
    wire = await fetch(edge_over(Answering()), **asking((b"x-request-id", given)))
    assert header_values(wire, b"x-request-id") == [given]


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"a" * 7,
        b"a" * 65,
        b"with space",
        b"slash/slash",
        b"new\nline9",
        b"ending99\n",
        b"\xc3\xa4\xc3\xa4\xc3\xa4ab",
        b"semi;colon",
    ],
    ids=[
        "empty",
        "too short",
        "too long",
        "space",
        "slash",
        "line feed",
        "line feed at the end",
        "umlaut",
        "semicolon",
    ],
)
async def test_a_request_id_of_another_form_is_replaced(given: bytes) -> None:
    wire = await fetch(edge_over(Answering()), **asking((b"x-request-id", given)))
    (request_id,) = header_values(wire, b"x-request-id")
    assert re.fullmatch(rb"[0-9a-f]{32}", request_id)


async def test_every_request_without_an_id_gets_one_of_its_own() -> None:
    edge = edge_over(Answering())
    wires = [await fetch(edge) for _ in range(3)]
    assert len({wire.header(b"x-request-id") for wire in wires}) == 3


ANSWERS: list[Any] = [
    pytest.param(Answering(), "GET", "/", {}, 200, id="an answer"),
    pytest.param(Answering(status=404), "GET", "/api/nothing", {}, 404, id="the application's refusal"),
    pytest.param(failing, "GET", "/", {}, 500, id="a bug"),
    pytest.param(never_asked, "TRACE", "/", {}, 405, id="a method refused"),
    pytest.param(never_asked, "GET", "/%00", {}, 400, id="a path refused"),
    pytest.param(never_asked, "GET", "/" + "a" * 5000, {}, 414, id="too long"),
    pytest.param(never_asked, "GET", "/", asking(*[(b"x", b"")] * 64), 431, id="too many fields"),
    pytest.param(
        never_asked,
        "OPTIONS",
        "/api/users/",
        asking((b"origin", PAGE), (b"access-control-request-method", b"GET")),
        204,
        id="a preflight",
    ),
]


@pytest.mark.parametrize(("app", "method", "target", "changes", "status"), ANSWERS)
async def test_every_answer_carries_the_security_headers_and_a_request_id(
    app: ASGIApp, method: str, target: str, changes: dict[str, Any], status: int
) -> None:
    wire = await fetch(edge_over(app), target, method, **changes)
    assert wire.status == status
    assert {name: wire.header(name) for name in SECURITY} == SECURITY
    assert wire.header(b"x-request-id")


@pytest.mark.parametrize("name", [*SECURITY, b"x-request-id", b"cache-control", b"vary"], ids=bytes.decode)
async def test_a_header_of_the_applications_own_wins(name: bytes) -> None:
    wire = await fetch(edge_over(Answering(headers=[(name, b"its own")])), "/api/users/")
    assert header_values(wire, name) == [b"its own"]


async def test_the_applications_headers_go_out_in_their_order() -> None:
    headers = [(b"b", b"1"), (b"set-cookie", b"x"), (b"set-cookie", b"y")]
    wire = await fetch(edge_over(Answering(headers=headers)))
    assert wire.sent[0]["headers"][:3] == headers


async def test_an_application_may_leave_out_what_asgi_calls_optional() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    wire = await fetch(edge_over(app))
    assert (wire.status, wire.header(b"x-frame-options")) == (204, b"DENY")


async def test_the_server_header_is_taken_off() -> None:
    wire = await fetch(edge_over(Answering(headers=[(b"server", b"werkzeug"), (b"x-kept", b"1")])))
    assert (wire.header(b"server"), wire.header(b"x-kept")) == (None, b"1")


@pytest.mark.parametrize(
    ("scheme", "hops", "forwarded", "promised"),
    [
        ("http", 0, None, False),
        ("https", 0, None, True),
        ("http", 0, b"https", False),
        ("http", 1, b"https", True),
        ("http", 1, b" HTTPS ", True),
        ("http", 1, b"javascript", False),
        ("https", 1, b"http", False),
        ("https", 1, b"", True),
    ],
    ids=[
        "http",
        "https",
        "a client's word is not believed",
        "a proxy's is",
        "in any case",
        "no such scheme",
        "the proxy speaks https, its client did not",
        "the proxy says nothing",
    ],
)
async def test_hsts_is_promised_over_https_only(
    scheme: str, hops: int, forwarded: bytes | None, promised: bool
) -> None:
    said = [] if forwarded is None else [(b"x-forwarded-proto", forwarded)]
    wire = await fetch(edge_over(Answering(), trusted_proxies=hops), scheme=scheme, **asking(*said))
    assert (wire.header(b"strict-transport-security") is not None) == promised


async def test_the_application_sees_the_scheme_that_the_proxy_says() -> None:
    app = Answering()
    await fetch(edge_over(app, trusted_proxies=1), **asking((b"x-forwarded-proto", b"https")))
    assert app.scope["scheme"] == "https"


@pytest.mark.parametrize(
    ("target", "cache_control", "vary"),
    [
        ("/", None, None),
        ("/livez", None, None),
        ("/apis", None, None),
        ("/api", b"private, no-cache", b"Authorization, Origin"),
        ("/api/users/", b"private, no-cache", b"Authorization, Origin"),
        ("/%61pi/users/", b"private, no-cache", b"Authorization, Origin"),
        ("/api/authors", b"private, no-cache", b"Authorization, Origin"),
        ("/api/auth", b"no-store", b"Authorization, Origin"),
        ("/api/auth/me", b"no-store", b"Authorization, Origin"),
        ("/api/auth%2fme", b"no-store", b"Authorization, Origin"),
    ],
)
async def test_what_may_be_cached_follows_from_the_path(
    target: str, cache_control: bytes | None, vary: bytes | None
) -> None:
    wire = await fetch(edge_over(Answering()), target)
    assert (wire.header(b"cache-control"), wire.header(b"vary")) == (cache_control, vary)


async def test_a_refusal_is_as_private_as_an_answer() -> None:
    wire = await fetch(edge_over(never_asked), "/api/auth/me", "TRACE")
    assert (wire.status, wire.header(b"cache-control")) == (405, b"no-store")


# CORS: the Fetch standard, section "CORS protocol"


def cors_headers(wire: Wire) -> dict[bytes, bytes]:
    return {name: value for name, value in wire.sent[0]["headers"] if name.startswith(b"access-control-")}


async def preflight(origin: bytes, target: str = "/api/users/", **settings: object) -> Wire:
    asks = asking((b"origin", origin), (b"access-control-request-method", b"PATCH"))
    return await fetch(edge_over(never_asked, **settings), target, "OPTIONS", **asks)


async def test_a_preflight_of_an_allowed_origin_is_told_what_it_may_send() -> None:
    wire = await preflight(PAGE, cors_origins=PAGE.decode())
    told = cors_headers(wire)
    assert (wire.status, wire.body) == (204, b"")
    assert told[b"access-control-allow-origin"] == PAGE
    assert b"PATCH" in told[b"access-control-allow-methods"]
    assert {b"Authorization", b"Content-Type", b"Idempotency-Key", b"If-Match"} <= set(
        told[b"access-control-allow-headers"].split(b", ")
    )
    assert b"access-control-allow-credentials" not in told


@pytest.mark.parametrize(
    "origin",
    [b"https://evil.example.com", b"null", b"http://page.example.com", PAGE + b":8443", PAGE + b".evil.com", b""],
    ids=["another", "null", "scheme", "port", "longer", "empty"],
)
async def test_a_preflight_of_another_origin_is_told_nothing(origin: bytes) -> None:
    wire = await preflight(origin, cors_origins=PAGE.decode())
    assert (wire.status, cors_headers(wire)) == (204, {})


async def test_a_preflight_has_no_content_length() -> None:
    wire = await preflight(PAGE, cors_origins="*")
    assert wire.header(b"content-length") is None


async def test_any_origin_is_answered_with_a_star() -> None:
    wire = await preflight(PAGE, cors_origins="*")
    assert cors_headers(wire)[b"access-control-allow-origin"] == b"*"


async def test_credentials_are_allowed_where_the_operator_says_so() -> None:
    wire = await preflight(PAGE, cors_origins=PAGE.decode(), cors_credentials=True)
    told = cors_headers(wire)
    assert (told[b"access-control-allow-credentials"], told[b"access-control-allow-origin"]) == (b"true", PAGE)


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("OPTIONS", "/api/users/", [(b"origin", PAGE)]),
        ("OPTIONS", "/api/users/", [(b"access-control-request-method", b"GET")]),
        ("GET", "/api/users/", [(b"origin", PAGE), (b"access-control-request-method", b"GET")]),
        ("OPTIONS", "/livez", [(b"origin", PAGE), (b"access-control-request-method", b"GET")]),
    ],
    ids=["no method asked for", "no origin", "not OPTIONS", "outside /api"],
)
async def test_what_is_no_preflight_goes_to_the_application(
    method: str, target: str, headers: list[tuple[bytes, bytes]]
) -> None:
    wire = await fetch(edge_over(Answering(), cors_origins="*"), target, method, **asking(*headers))
    assert wire.body == b"done"


@pytest.mark.parametrize("app", [Answering(), Answering(status=401), failing], ids=["answer", "refusal", "bug"])
async def test_an_allowed_page_may_read_every_answer(app: ASGIApp) -> None:
    edge = edge_over(app, cors_origins=f"https://other.example.com, {PAGE.decode()}")
    wire = await fetch(edge, "/api/users/", **asking((b"origin", PAGE)))
    told = cors_headers(wire)
    assert told[b"access-control-allow-origin"] == PAGE
    assert {b"X-Request-ID", b"ETag", b"Location", b"Retry-After"} <= set(
        told[b"access-control-expose-headers"].split(b", ")
    )


@pytest.mark.parametrize(
    ("target", "origin"),
    [("/livez", PAGE), ("/api/users/", b"https://evil.example.com"), ("/api/users/", None)],
    ids=["outside /api", "another origin", "no origin"],
)
async def test_no_other_answer_names_an_origin(target: str, origin: bytes | None) -> None:
    asks = asking() if origin is None else asking((b"origin", origin))
    wire = await fetch(edge_over(Answering(), cors_origins=PAGE.decode()), target, **asks)
    assert cors_headers(wire) == {}


# Who asks, told by proxies


@pytest.mark.parametrize(
    ("hops", "lists", "client"),
    [
        (0, [b"198.51.100.1"], "192.0.2.7"),
        (1, [], "192.0.2.7"),
        (1, [b"198.51.100.1"], "198.51.100.1"),
        (1, [b"203.0.113.9, 198.51.100.1"], "198.51.100.1"),
        (1, [b"203.0.113.9", b"198.51.100.1"], "198.51.100.1"),
        (2, [b"203.0.113.9, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        (2, [b"203.0.113.9", b"198.51.100.1,10.0.0.2"], "198.51.100.1"),
        (2, [b"10.0.0.2"], "192.0.2.7"),
        (1, [b"  2001:db8::1  "], "2001:db8::1"),
        (1, [b""], "192.0.2.7"),
        (1, [b"198.51.100.1, "], "192.0.2.7"),
        (1, [b"198.51.100.1:443"], "198.51.100.1"),
        (1, [b"[2001:db8::1]:443"], "2001:db8::1"),
        (1, [b"unknown"], "192.0.2.7"),
        (1, [b"\xff\xfe"], "192.0.2.7"),
    ],
    ids=[
        "no proxy is ours",
        "the proxy says nothing",
        "one hop",
        "a client lied before",
        "in a field of its own",
        "two hops",
        "two hops in two fields",
        "fewer than our hops",
        "IPv6",
        "empty",
        "last one empty",
        "with a port",
        "IPv6 with a port",
        "no address",
        "no text",
    ],
)
async def test_the_clients_address_is_counted_from_the_nearest_proxy(
    hops: int, lists: list[bytes], client: str
) -> None:
    app = Answering()
    said = [(b"x-forwarded-for", one) for one in lists]
    await fetch(edge_over(app, trusted_proxies=hops), **asking(*said))
    assert app.scope["client"][0] == client


async def test_the_servers_own_scope_is_left_alone() -> None:
    scope = http_scope(**asking((b"x-forwarded-for", b"198.51.100.1"), (b"x-forwarded-proto", b"https")))
    before = dict(scope)
    wire = Wire()
    await edge_over(Answering(), trusted_proxies=1)(scope, wire.receive, wire.send)
    assert scope == before


async def test_a_body_reaches_the_application_as_it_came() -> None:
    app = Answering()
    await serve(edge_over(app), Wire(b"one", b"two"), "POST")
    assert app.body == b"onetwo"

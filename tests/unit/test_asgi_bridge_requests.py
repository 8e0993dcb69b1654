"""How the bridge reads a request: its body, its WSGI environ, and the scopes that are no request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from io import BufferedReader
from typing import Any

import pytest
from flask import Flask, request
from service.asgi import ASGIBridge
from tests.support.asgi import WHOLE, Wire, fetch, flask_app, http_scope, serve, shape
from werkzeug.exceptions import RequestEntityTooLarge

BOUND = 8


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def echo(calls: list[str]) -> ASGIBridge:
    app = flask_app()

    @app.post("/")
    async def read() -> bytes:
        calls.append("read")
        return request.get_data()

    @app.post("/unread")
    async def leave_unread() -> str:
        calls.append("unread")
        return "not read"

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(error: RequestEntityTooLarge) -> tuple[str, int]:
        return "larger than this service accepts", 413

    return ASGIBridge(app, max_body_bytes=BOUND)


def length(value: bytes) -> dict[str, Any]:
    return {"headers": [(b"content-length", value)]}


@pytest.mark.parametrize(
    ("wire", "changes", "body"),
    [
        pytest.param(lambda: Wire(b"12345"), length(b"5"), b"12345", id="content-length"),
        pytest.param(lambda: Wire(b"12", b"", b"345"), {}, b"12345", id="chunked in several messages"),
        pytest.param(Wire, {}, b"", id="empty"),
        pytest.param(lambda: Wire(b"12345678"), length(b"8"), b"12345678", id="exactly at the bound"),
        pytest.param(lambda: Wire(b"1234", b"5678"), {}, b"12345678", id="exactly at the bound in chunks"),
        pytest.param(lambda: Wire(b"123"), length(b"three"), b"123", id="content-length that is no number"),
    ],
)
async def test_a_view_reads_the_whole_body(
    echo: ASGIBridge, wire: Callable[[], Wire], changes: dict[str, Any], body: bytes
) -> None:
    answered = await serve(echo, wire(), "POST", **changes)
    assert (answered.status, answered.body) == (200, body)


async def test_a_message_without_its_optional_keys_ends_the_body(echo: ASGIBridge) -> None:
    wire = Wire(b"12", complete=False)
    wire.incoming.put_nowait({"type": "http.request"})
    assert (await serve(echo, wire, "POST")).body == b"12"


@pytest.mark.parametrize("digits", [b"9", b"9" * 20, b"9" * 5000], ids=["one over", "20 digits", "5,000 digits"])
async def test_a_body_over_the_bound_by_its_header_is_refused_unread(echo: ASGIBridge, digits: bytes) -> None:
    wire = await serve(echo, Wire(b"123456789"), "POST", **length(digits))
    assert (wire.status, wire.body) == (413, b"larger than this service accepts")
    assert (wire.received, shape(wire)) == (0, WHOLE)


async def test_a_body_that_grows_over_the_bound_is_read_no_further(echo: ASGIBridge) -> None:
    wire = await serve(echo, Wire(b"12345678", b"9", b"never read"), "POST")
    assert (wire.status, wire.body, wire.received) == (413, b"larger than this service accepts", 2)


@pytest.mark.parametrize("changes", [length(b"9"), {}], ids=["by header", "by chunks"])
async def test_a_view_that_reads_no_body_is_not_affected_by_its_size(echo: ASGIBridge, changes: dict[str, Any]) -> None:
    wire = await serve(echo, Wire(b"12345678", b"9"), "POST", "/unread", **changes)
    assert (wire.status, wire.body) == (200, b"not read")


async def test_a_reader_wrapped_around_a_body_over_the_bound_gets_the_413() -> None:
    app = flask_app()
    app.add_url_rule("/", view_func=lambda: BufferedReader(request.environ["wsgi.input"]).readline(), methods=["POST"])
    assert (await serve(ASGIBridge(app, max_body_bytes=BOUND), Wire(b"123456789"), "POST")).status == 413


@pytest.mark.parametrize(
    "content_type", [b"application/json", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=b"]
)
async def test_a_parsed_body_over_the_bound_is_a_413_too(content_type: bytes) -> None:
    app = flask_app()

    @app.post("/")
    def parse() -> str:
        return str((request.form, request.files, request.get_json()))

    headers = [(b"content-type", content_type)]
    wire = await serve(ASGIBridge(app, max_body_bytes=BOUND), Wire(b"123456789"), "POST", headers=headers)
    assert wire.status == 413


async def test_a_client_that_leaves_in_mid_body_gets_no_answer_and_runs_nothing(
    echo: ASGIBridge, calls: list[str]
) -> None:
    wire = Wire(b"1234", complete=False)
    wire.leave()
    await serve(echo, wire, "POST")
    assert (calls, wire.sent) == ([], [])


async def environ_of(target: str = "/", method: str = "GET", **changes: object) -> dict[str, Any]:
    """Return the WSGI environ that an app is called with."""
    app = Flask("bridged")
    seen: list[dict[str, Any]] = []

    @app.before_request
    def note() -> str:
        seen.append(dict(request.environ))
        return ""

    await fetch(ASGIBridge(app), target, method, **changes)
    return seen[0]


HEADERS = [
    (b"host", b"postern.test"),
    (b"content-type", b"text/plain"),
    (b"content-length", b"0"),
    (b"x-role", b"reader"),
    (b"x_role", b"admin"),
    (b"accept", b"text/html"),
    (b"accept", b"text/plain"),
    (b"cookie", b"a=1"),
    (b"cookie", b"b=2"),
    (b"x-name", b"caf\xe9"),
]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("HTTP_HOST", "postern.test"),
        ("CONTENT_TYPE", "text/plain"),
        ("CONTENT_LENGTH", "0"),
        pytest.param("HTTP_X_ROLE", "reader", id="a header with an underscore is dropped"),
        pytest.param("HTTP_ACCEPT", "text/html,text/plain", id="repeated headers join with a comma"),
        pytest.param("HTTP_COOKIE", "a=1; b=2", id="cookies join with a semicolon"),
        pytest.param("HTTP_X_NAME", "caf\xe9", id="header bytes as Latin-1"),
    ],
)
async def test_headers_become_keys_of_the_environ(key: str, value: str) -> None:
    assert (await environ_of(headers=HEADERS))[key] == value


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, {"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000"}, id="host and port"),
        pytest.param({"server": None}, {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}, id="no server"),
        pytest.param({"server": None, "scheme": "https"}, {"SERVER_PORT": "443"}, id="no server, https"),
        pytest.param({"server": ("/run/s.sock", None)}, {"SERVER_PORT": "80"}, id="unix socket"),
        pytest.param({"client": ("::1", 4711)}, {"REMOTE_ADDR": "::1", "REMOTE_PORT": "4711"}, id="client"),
        pytest.param({"http_version": "2"}, {"SERVER_PROTOCOL": "HTTP/2"}, id="HTTP/2"),
        pytest.param({"query_string": b"q=%20\xe9"}, {"QUERY_STRING": "q=%20\xe9"}, id="query bytes"),
        pytest.param({"scheme": "https"}, {"wsgi.url_scheme": "https"}, id="scheme"),
        pytest.param({}, {"wsgi.input_terminated": True, "wsgi.multithread": False}, id="WSGI flags"),
    ],
)
async def test_the_scope_becomes_the_environ(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    environ = await environ_of(**changes)
    assert {key: environ[key] for key in expected} == expected


async def test_a_client_without_an_address_has_none_in_the_environ() -> None:
    environ = await environ_of(client=None)
    assert {"REMOTE_ADDR", "REMOTE_PORT"}.isdisjoint(environ)


async def test_the_scope_itself_is_in_the_environ() -> None:
    scope, seen = http_scope(state={"pool": 1}), list[object]()
    app, wire = flask_app(), Wire()
    app.before_request(lambda: seen.append(request.environ["asgi.scope"]))
    await ASGIBridge(app)(scope, wire.receive, wire.send)
    assert seen[0] is scope


@pytest.mark.parametrize(
    ("target", "changes", "script_name", "path_info"),
    [
        pytest.param("/posts/1", {}, "", "/posts/1", id="no root path"),
        pytest.param("/api/posts", {"root_path": "/api"}, "/api", "/posts", id="below the root path"),
        pytest.param("/api", {"root_path": "/api"}, "/api", "", id="the root path itself"),
        pytest.param("/apis", {"root_path": "/api"}, "/api", "/apis", id="only begins like the root path"),
        pytest.param("/posts", {"root_path": "/api"}, "/api", "/posts", id="root path already stripped"),
        pytest.param("/caf%C3%A9/x", {"root_path": "/caf\xe9"}, "/caf\xc3\xa9", "/x", id="root path not ASCII"),
        pytest.param("/a%2Fb%20c", {}, "", "/a/b c", id="percent-encoded"),
        pytest.param("/caf%C3%A9", {}, "", "/caf\xc3\xa9", id="UTF-8"),
        pytest.param("/%FF", {}, "", "/\xff", id="not UTF-8"),
        pytest.param("/", {"path": "/caf\xe9", "raw_path": None}, "", "/caf\xc3\xa9", id="raw path None"),
    ],
)
async def test_the_path_is_split_at_the_root_path(
    target: str, changes: dict[str, Any], script_name: str, path_info: str
) -> None:
    environ = await environ_of(target, **changes)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


@pytest.mark.parametrize("key", ["raw_path", "client", "server", "root_path", "scheme"])
async def test_a_server_may_leave_out_what_asgi_calls_optional(key: str) -> None:
    app, scope, wire = flask_app(), http_scope(), Wire()
    app.add_url_rule("/", view_func=lambda: request.url)
    del scope[key]
    await ASGIBridge(app)(scope, wire.receive, wire.send)
    assert wire.body == b"http://postern.test/"


class Server:
    """A server's side of the lifespan scope."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self.sent: list[dict[str, str]] = []

    async def receive(self) -> Any:
        return await self.messages.get()

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        self.events.append(message["type"])

    async def run(self, bridge: ASGIBridge) -> None:
        self.messages.put_nowait({"type": "lifespan.startup"})
        self.messages.put_nowait({"type": "lifespan.shutdown"})
        scope: Any = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
        await bridge(scope, self.receive, self.send)

    def lifespan(
        self, *, opening: Exception | None = None, closing: Exception | None = None
    ) -> Callable[[], AbstractAsyncContextManager[None]]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[None]:
            if opening is not None:
                raise opening
            self.events.append("opened")
            yield
            self.events.append("closed")
            if closing is not None:
                raise closing

        return opened


async def test_the_lifespan_is_open_while_the_server_serves() -> None:
    server = Server()
    await server.run(ASGIBridge(flask_app(), lifespan=server.lifespan()))
    assert server.events == ["opened", "lifespan.startup.complete", "closed", "lifespan.shutdown.complete"]


async def test_without_a_lifespan_the_server_starts_and_stops() -> None:
    server = Server()
    await server.run(ASGIBridge(flask_app()))
    assert server.events == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize(
    ("error", "message"),
    [(OSError("no database"), "no database"), (OSError(), "OSError")],
    ids=["with a message", "without one"],
)
async def test_a_failed_startup_is_told_to_the_server_and_raised(error: Exception, message: str) -> None:
    server = Server()
    with pytest.raises(OSError) as raised:  # noqa: PT011 - the very error is asserted below
        await server.run(ASGIBridge(flask_app(), lifespan=server.lifespan(opening=error)))
    assert raised.value is error
    assert server.sent == [{"type": "lifespan.startup.failed", "message": message}]


async def test_a_failed_shutdown_is_told_to_the_server_and_raised() -> None:
    server, error = Server(), OSError("still busy")
    with pytest.raises(OSError, match="still busy"):
        await server.run(ASGIBridge(flask_app(), lifespan=server.lifespan(closing=error)))
    assert server.sent[-1] == {"type": "lifespan.shutdown.failed", "message": "still busy"}


async def test_a_websocket_is_closed_before_it_is_accepted() -> None:
    server, scope = Server(), http_scope(type="websocket")
    server.messages.put_nowait({"type": "websocket.connect"})
    await ASGIBridge(flask_app())(scope, server.receive, server.send)
    assert (server.sent[0]["type"], server.messages.empty()) == ("websocket.close", True)


async def test_an_unknown_scope_is_refused_as_asgi_asks() -> None:
    wire = Wire()
    with pytest.raises(NotImplementedError, match="mqtt"):
        await ASGIBridge(flask_app())(http_scope(type="mqtt"), wire.receive, wire.send)

"""What Flask's views, hooks, signals and error handlers may do when the bridge serves them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import blinker
import pytest
from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    g,
    jsonify,
    request,
    request_finished,
    session,
    stream_with_context,
)
from flask.views import MethodView
from service.asgi import ASGIBridge
from tests.support.asgi import Wire, fetch, flask_app, serve
from werkzeug.exceptions import Conflict, HTTPException

T = TypeVar("T")


async def suspended(value: T) -> T:
    await asyncio.sleep(0)
    return value


def sync_view() -> str:
    return "answered"


async def async_view() -> str:
    return await suspended("answered")


class Accounts(MethodView):
    async def get(self) -> str:
        return await suspended("answered")


@pytest.mark.parametrize(
    "view",
    [sync_view, async_view, Accounts.as_view("accounts")],
    ids=["sync view", "async view", "method view with async methods"],
)
async def test_a_view_of_each_kind_answers(view: Callable[[], Any]) -> None:
    app = flask_app()
    app.add_url_rule("/", view_func=view)
    wire = await fetch(ASGIBridge(app))
    assert (wire.status, wire.body) == (200, b"answered")


async def test_async_hooks_of_an_app_and_of_its_blueprint_run_in_flasks_order() -> None:
    app, blueprint, order = flask_app(), Blueprint("posts", __name__), list[str]()

    def noting(step: str) -> Callable[..., Awaitable[Any]]:
        async def hook(*arguments: Any) -> Any:
            order.append(await suspended(step))
            return arguments[0] if step.startswith("after") else None

        return hook

    app.before_request(noting("before app"))
    blueprint.before_request(noting("before blueprint"))
    blueprint.after_request(noting("after blueprint"))
    app.after_request(noting("after app"))
    blueprint.teardown_request(noting("teardown blueprint"))
    app.teardown_request(noting("teardown app"))
    app.teardown_appcontext(noting("teardown context"))
    blueprint.add_url_rule("/", view_func=async_view)
    app.register_blueprint(blueprint)
    await fetch(ASGIBridge(app))
    steps = ["before app", "before blueprint", "after blueprint", "after app"]
    assert order == [*steps, "teardown blueprint", "teardown app", "teardown context"]


async def test_an_async_error_handler_answers_for_the_exception_of_a_view() -> None:
    app = flask_app()

    @app.errorhandler(LookupError)
    async def not_there(error: LookupError) -> tuple[str, int]:
        return await suspended(str(error)), 404

    @app.get("/")
    async def view() -> str:
        raise LookupError(await suspended("no such post"))

    wire = await fetch(ASGIBridge(app))
    assert (wire.status, wire.body) == (404, b"no such post")


async def test_an_async_receiver_of_a_flask_signal_is_awaited() -> None:
    app, seen = flask_app(), list[int]()
    app.add_url_rule("/", view_func=sync_view)

    async def receive(sender: Flask, response: Response) -> None:
        seen.append(await suspended(response.status_code))

    with request_finished.connected_to(receive, app):
        await fetch(ASGIBridge(app))
    assert seen == [200]


async def test_an_async_view_may_send_a_signal_of_its_own_to_an_async_receiver() -> None:
    app, posted, seen = flask_app(), blinker.Namespace().signal("posted"), list[str]()

    async def receive(sender: str) -> None:
        seen.append(await suspended(sender))

    @app.get("/")
    async def view() -> str:
        await asyncio.sleep(0)
        posted.send("first", _async_wrapper=current_app.ensure_sync)
        return await suspended("")

    with posted.connected_to(receive):
        await fetch(ASGIBridge(app))
    assert seen == ["first"]


async def test_sync_code_below_an_async_view_may_await_to_any_depth() -> None:
    app = flask_app()

    def sync_sum(depth: int) -> int:
        return 0 if depth == 0 else depth + int(app.ensure_sync(async_sum)(depth))

    async def async_sum(depth: int) -> int:
        return sync_sum(await suspended(depth) - 1)

    @app.get("/")
    async def view() -> str:
        return str(sync_sum(await suspended(4)))

    assert (await fetch(ASGIBridge(app))).body == b"10"


async def test_an_exception_crosses_nested_waits_unchanged() -> None:
    app = flask_app()

    async def failing() -> None:
        await asyncio.sleep(0)
        raise KeyError("inner")

    @app.get("/")
    async def view() -> str:
        try:
            app.ensure_sync(failing)()
        except KeyError as error:
            return await suspended(f"caught {error}")
        return "nothing raised"

    assert (await fetch(ASGIBridge(app))).body == b"caught 'inner'"


async def test_gathered_coroutines_of_a_view_read_its_request_and_g() -> None:
    app = flask_app()

    async def field(name: str) -> str:
        await asyncio.sleep(0)
        return str(request.get_json()[name]) + str(g.mark)

    @app.post("/")
    async def view() -> str:
        g.mark = "!"
        return "".join(await asyncio.gather(field("a"), field("b")))

    headers = [(b"content-type", b"application/json")]
    wire = await serve(ASGIBridge(app), Wire(b'{"a": 1,', b' "b": 2}'), "POST", headers=headers)
    assert wire.body == b"1!2!"


async def test_a_session_written_by_one_request_is_read_by_the_next() -> None:
    app = flask_app()

    @app.get("/")
    async def view() -> str:
        session["visits"] = session.get("visits", 0) + await suspended(1)
        return str(session["visits"])

    bridge = ASGIBridge(app)
    cookie = (await fetch(bridge)).header(b"set-cookie")
    assert cookie is not None
    assert (await fetch(bridge, headers=[(b"cookie", cookie.split(b";")[0])])).body == b"2"


async def test_a_streaming_generator_keeps_its_request_and_may_await_between_chunks() -> None:
    app = flask_app()

    @app.get("/<name>")
    async def view(name: str) -> Response:
        def rows() -> Iterator[str]:
            yield request.path
            yield str(current_app.ensure_sync(suspended)("awaited"))
            yield name

        return Response(stream_with_context(rows()))

    assert (await fetch(ASGIBridge(app), "/ada")).chunks == [b"/ada", b"awaited", b"ada", b""]


async def test_an_unhandled_exception_becomes_flasks_500_page() -> None:
    app = flask_app()
    app.add_url_rule("/", view_func=failing_view)
    wire = await fetch(ASGIBridge(app))
    assert (wire.status, b"Internal Server Error" in wire.body) == (500, True)


async def failing_view() -> str:
    raise LookupError(await suspended("unexpected"))


@pytest.mark.parametrize("option", ["TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS"])
async def test_an_exception_that_flask_propagates_leaves_the_bridge(option: str) -> None:
    app, wire = flask_app(**{option: True}), Wire()
    app.add_url_rule("/", view_func=failing_view)
    with pytest.raises(LookupError, match="unexpected"):
        await serve(ASGIBridge(app), wire)
    assert wire.sent == []


async def test_an_http_exception_reaches_its_handler() -> None:
    app = flask_app()

    @app.errorhandler(HTTPException)
    async def render(error: HTTPException) -> tuple[Response, int]:
        return jsonify(title=await suspended(error.name)), error.code or 500

    @app.get("/")
    def view() -> str:
        raise Conflict

    bridge = ASGIBridge(app)
    statuses = [(await fetch(bridge, target)).status for target in ("/", "/missing")]
    assert statuses == [409, 404]

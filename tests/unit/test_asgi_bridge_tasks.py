"""Which task, loop, thread and context a request runs in, and how it waits there."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import types
from collections.abc import Callable, Generator
from typing import Any, TypeVar, cast

import anyio
import click
import pytest
from flask import (
    Flask,
    copy_current_request_context,
    current_app,
    g,
    has_request_context,
    request,
)
from service.asgi import ASGIBridge
from sqlalchemy.util import await_only, greenlet_spawn
from tests.support.asgi import Wire, fetch, flask_app, serve

T = TypeVar("T")

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="none")


async def suspended(value: T) -> T:
    await asyncio.sleep(0)
    return value


async def async_view() -> str:
    return await suspended("answered")


async def test_another_library_may_run_its_own_greenlet_inside_a_view() -> None:
    app = flask_app()

    def query() -> str:
        return str(await_only(suspended("a row")))

    @app.get("/")
    async def view() -> str:
        return await greenlet_spawn(query)

    assert (await fetch(ASGIBridge(app))).body == b"a row"


async def test_a_view_may_call_a_bridge_on_its_own_loop() -> None:
    app = flask_app()
    bridge = ASGIBridge(app)
    app.add_url_rule("/inner", view_func=async_view)

    @app.get("/")
    async def outer() -> bytes:
        return (await fetch(bridge, "/inner")).body + b" twice"

    assert (await fetch(bridge)).body == b"answered twice"


@types.coroutine
def finishing(begun: Generator[Any, Any, T], future: object) -> Generator[Any, Any, T]:
    """Drive a coroutine on from the future that it waits for since it was begun elsewhere."""
    while True:
        sent = yield future
        try:
            future = begun.send(sent)
        except StopIteration as stop:
            return cast(T, stop.value)


async def test_a_request_begun_inside_a_view_may_be_finished_by_another_task() -> None:
    """As `asyncio.eager_task_factory` (3.12) does: the first step runs at once, the others on the loop."""
    app = flask_app()
    bridge = ASGIBridge(app)

    @app.get("/inner")
    async def inner() -> str:
        await asyncio.sleep(0.001)
        await asyncio.sleep(0.001)
        return "answered"

    async def finish(begun: Generator[Any, Any, Wire], future: object) -> Wire:
        return await finishing(begun, future)

    @app.get("/")
    async def outer() -> bytes:
        begun = fetch(bridge, "/inner").__await__()
        return (await asyncio.create_task(finish(begun, begun.send(None)))).body

    wire = await asyncio.wait_for(fetch(bridge), 5)
    assert wire.body == b"answered"


async def test_anyio_cancels_and_groups_inside_a_view() -> None:
    app = flask_app()

    @app.get("/")
    async def view() -> str:
        with anyio.move_on_after(0.001) as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
        return await suspended(f"cancelled {scope.cancelled_caught}")

    assert (await fetch(ASGIBridge(app))).body == b"cancelled True"


async def test_sync_code_in_a_task_of_its_own_may_not_wait_as_in_plain_flask() -> None:
    app = flask_app()

    async def task() -> str:
        return str(app.ensure_sync(async_view)())

    @app.get("/")
    async def view() -> str:
        with pytest.raises(RuntimeError, match="just await the async function directly"):
            await asyncio.create_task(task())
        return await suspended("refused")

    assert (await fetch(ASGIBridge(app))).body == b"refused"


async def test_a_task_may_outlive_its_request_with_a_copied_request_context() -> None:
    app, tasks, answered = flask_app(), list[asyncio.Task[str]](), asyncio.Event()

    @app.get("/<name>")
    async def view(name: str) -> str:
        @copy_current_request_context
        def read() -> str:
            return request.path

        async def later() -> str:
            await answered.wait()
            return read()

        tasks.append(asyncio.create_task(later()))
        return name

    await fetch(ASGIBridge(app), "/ada")
    answered.set()
    assert await tasks[0] == "/ada"


def tenant_app() -> Flask:
    app = flask_app()

    @app.get("/<name>")
    async def view(name: str) -> str:
        before = tenant.get()
        tenant.set(name)
        await asyncio.sleep(0.001)
        return f"{before} {tenant.get()} {g.get('name', 'none')} {g.setdefault('name', name)}"

    return app


async def test_concurrent_requests_do_not_see_each_others_context() -> None:
    bridge = ASGIBridge(tenant_app())
    wires = await asyncio.gather(*(fetch(bridge, f"/{name}") for name in "abc"))
    assert [wire.body for wire in wires] == [b"none a none a", b"none b none b", b"none c none c"]


async def test_requests_in_turn_on_one_task_leave_its_context_alone() -> None:
    bridge = ASGIBridge(tenant_app())
    bodies = [(await fetch(bridge, f"/{name}")).body for name in "ab"]
    assert (bodies, tenant.get(), has_request_context()) == ([b"none a none a", b"none b none b"], "none", False)


async def test_a_view_sees_the_context_of_the_middleware_around_it() -> None:
    bridge = ASGIBridge(tenant_app())
    token = tenant.set("outer")
    assert (await fetch(bridge, "/a")).body == b"outer a none a"
    tenant.reset(token)


async def test_a_view_runs_in_the_task_and_thread_that_serve_it() -> None:
    app, seen = flask_app(), list[object]()

    @app.get("/")
    async def view() -> str:
        seen.extend((asyncio.current_task(), threading.current_thread()))
        return await suspended("")

    threads = threading.active_count()
    await fetch(ASGIBridge(app))
    assert seen == [asyncio.current_task(), threading.current_thread()]
    assert threading.active_count() == threads


async def test_a_timeout_inside_a_view_ends_only_what_it_guards() -> None:
    app = flask_app()

    @app.get("/")
    async def view() -> str:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            return await suspended("timed out")
        return "not reached"

    assert (await fetch(ASGIBridge(app))).body == b"timed out"


async def test_a_task_group_inside_a_view_gathers_the_errors_of_its_tasks() -> None:
    app = flask_app()

    async def failing() -> None:
        raise LookupError(await suspended("child"))

    @app.get("/")
    async def view() -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(failing())
                await asyncio.Event().wait()
        except ExceptionGroup as errors:
            return str(errors.exceptions[0])
        return "not reached"

    assert (await fetch(ASGIBridge(app))).body == b"child"


async def test_cancelling_the_serving_task_cancels_the_view_and_runs_its_async_teardown() -> None:
    app, order, started = flask_app(), list[str](), asyncio.Event()

    @app.teardown_request
    async def close(error: BaseException | None) -> None:
        order.append(await suspended(f"teardown after {type(error).__name__}"))

    @app.get("/")
    async def view() -> str:
        try:
            started.set()
            return await asyncio.Event().wait() and ""
        except asyncio.CancelledError:
            order.append("cancelled")
            raise
        finally:
            order.append(await suspended("finally"))

    wire, others = Wire(), asyncio.all_tasks()
    serving = asyncio.create_task(serve(ASGIBridge(app), wire))
    await started.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert order == ["cancelled", "finally", "teardown after CancelledError"]
    assert (wire.sent, asyncio.all_tasks()) == ([], others)


class SaysWhenUsed(Flask):
    uses = 0

    def async_to_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        self.uses += 1
        return super().async_to_sync(func)


@pytest.mark.parametrize("bridges", [1, 2])
@pytest.mark.parametrize("kind", [Flask, SaysWhenUsed], ids=["Flask", "a subclass with its own"])
def test_outside_the_bridge_the_apps_own_async_to_sync_runs(kind: type[Flask], bridges: int) -> None:
    app = kind("bridged")
    app.add_url_rule("/", view_func=async_view)

    @app.cli.command("answer")
    def answer() -> None:
        click.echo(current_app.ensure_sync(async_view)())

    for _ in range(bridges):
        ASGIBridge(app)
    assert app.test_client().get("/").text == "answered"
    result = app.test_cli_runner().invoke(args=["answer"])
    assert (result.exit_code, result.output) == (0, "answered\n")
    assert getattr(app, "uses", 2) == 2


def test_a_second_bridge_over_an_app_does_not_wrap_it_again() -> None:
    app = flask_app()
    ASGIBridge(app)
    wrapped = app.async_to_sync
    ASGIBridge(app)
    assert app.async_to_sync is wrapped


async def test_inside_the_bridge_a_subclass_needs_no_async_to_sync_of_its_own() -> None:
    app = SaysWhenUsed("bridged")
    app.add_url_rule("/", view_func=async_view)
    ASGIBridge(app)
    wire = await fetch(ASGIBridge(app))
    assert (wire.body, app.uses) == (b"answered", 0)


async def test_a_thread_of_a_view_awaits_with_the_apps_own_async_to_sync() -> None:
    app = SaysWhenUsed("bridged")

    def in_thread() -> str:
        return str(current_app.ensure_sync(async_view)()) + request.path

    @app.get("/")
    async def view() -> str:
        return await asyncio.to_thread(in_thread)

    wire = await fetch(ASGIBridge(app))
    assert (wire.body, app.uses) == (b"answered/", 1)

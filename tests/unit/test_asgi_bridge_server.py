"""The bridge under many requests at once and behind a real server, and what its module may import."""

from __future__ import annotations

import ast
import asyncio
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import service.asgi
from flask import Flask, Response, request
from hypercorn.asyncio import serve as serve_with_hypercorn
from hypercorn.config import Config
from service.asgi import ASGIBridge
from tests.support.asgi import fetch, flask_app


async def test_a_thousand_requests_wait_at_once_on_one_loop_without_a_thread() -> None:
    app, waiting, peak, loops = flask_app(), 0, 0, set[asyncio.AbstractEventLoop]()

    @app.get("/")
    async def view() -> str:
        nonlocal waiting, peak
        loops.add(asyncio.get_running_loop())
        waiting += 1
        peak = max(peak, waiting)
        await asyncio.sleep(0.02)
        waiting -= 1
        return "done"

    threads, bridge = threading.active_count(), ASGIBridge(app)
    wires = await asyncio.gather(*(fetch(bridge) for _ in range(1000)))
    assert {(wire.status, wire.body) for wire in wires} == {(200, b"done")}
    assert peak > 500
    assert (loops, threading.active_count()) == ({asyncio.get_running_loop()}, threads)


async def test_all_requests_share_the_connections_of_one_pool() -> None:
    app, pool, used = flask_app(), asyncio.Queue[str](), list[str]()
    for name in ("first", "second"):
        pool.put_nowait(name)

    @app.get("/")
    async def view() -> str:
        connection = await pool.get()
        used.append(connection)
        await asyncio.sleep(0)
        pool.put_nowait(connection)
        return connection

    bridge = ASGIBridge(app)
    await asyncio.gather(*(fetch(bridge) for _ in range(20)))
    assert (sorted(set(used)), len(used), pool.qsize()) == (["first", "second"], 20, 2)


async def test_a_lock_of_the_loop_excludes_one_request_from_another() -> None:
    app, lock, count = flask_app(), asyncio.Lock(), 0

    @app.get("/")
    async def view() -> str:
        nonlocal count
        async with lock:
            read = count
            await asyncio.sleep(0)
            count = read + 1
        return ""

    bridge = ASGIBridge(app)
    await asyncio.gather(*(fetch(bridge) for _ in range(50)))
    assert count == 50


def small_app() -> Flask:
    app = flask_app()

    @app.get("/<name>")
    async def greet(name: str) -> dict[str, str]:
        await asyncio.sleep(0)
        return {"hello": name}

    @app.post("/")
    async def echo() -> bytes:
        return request.get_data()

    @app.get("/stream")
    def stream() -> Response:
        def rows() -> Iterator[bytes]:
            for number in range(3):
                app.ensure_sync(asyncio.sleep)(0)
                yield b"row %d\n" % number

        return Response(rows())

    return app


@asynccontextmanager
async def client_of(bridge: ASGIBridge) -> AsyncIterator[httpx.AsyncClient]:
    """Serve with Hypercorn on a free port of the loopback, and give a client that knows it."""
    stop, listener = asyncio.Event(), socket.create_server(("127.0.0.1", 0))
    config, port = Config(), listener.getsockname()[1]
    config.bind, config.errorlog = [f"fd://{listener.detach()}"], None
    app: Any = bridge  # Hypercorn has ASGI types of its own
    serving = asyncio.create_task(serve_with_hypercorn(app, config, shutdown_trigger=stop.wait, mode="asgi"))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield client
    finally:
        stop.set()
        await serving


async def test_a_real_server_opens_the_lifespan_and_serves_an_async_view() -> None:
    steps = list[str]()

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        steps.append("opened")
        yield
        steps.append("closed")

    async with client_of(ASGIBridge(small_app(), lifespan=lifespan)) as client:
        response = await client.get("/ada")
        assert (response.status_code, response.json(), steps) == (200, {"hello": "ada"}, ["opened"])
    assert steps == ["opened", "closed"]


async def test_a_real_server_passes_a_chunked_upload() -> None:
    async def upload() -> AsyncIterator[bytes]:
        for part in (b"one ", b"two ", b"three"):
            yield part

    async with client_of(ASGIBridge(small_app())) as client:
        response = await client.post("/", content=upload())
    assert response.content == b"one two three"


async def test_a_real_server_streams_what_a_generator_awaits() -> None:
    async with client_of(ASGIBridge(small_app())) as client, client.stream("GET", "/stream") as response:
        lines = [line async for line in response.aiter_lines()]
    assert (lines, response.headers["transfer-encoding"]) == (["row 0", "row 1", "row 2"], "chunked")


def imported_packages() -> Iterator[tuple[str, bool]]:
    """Each top-level package that service/asgi.py imports, with whether only a type checker does."""
    tree = ast.parse(Path(service.asgi.__file__).read_text(encoding="utf-8"))
    unread = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], id(node) in unread
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "").partition(".")[0], id(node) in unread


def test_the_module_imports_nothing_of_the_product() -> None:
    allowed = sys.stdlib_module_names | {"flask", "werkzeug", "greenlet", "asgiref"}
    assert {name for name, _ in imported_packages()} - allowed <= {"_typeshed"}
    assert ("_typeshed", False) not in imported_packages()


@pytest.mark.parametrize("package", ["flask", "werkzeug", "greenlet"])
def test_the_import_test_sees_the_imports_there_are(package: str) -> None:
    assert package in {name for name, _ in imported_packages()}

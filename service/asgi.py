"""ASGIBridge: serves any Flask app natively on the event loop of an ASGI server.

Flask's own ``wsgi_app``, unchanged, runs in a greenlet on the loop's thread. Whatever it has to wait for (an async
view, hook, signal receiver or error handler; the socket, when a chunk of the answer leaves) suspends that greenlet and
hands the loop the very future it waits for, so that the loop serves other requests meanwhile. There is no thread and
no second loop, hence one pool of connections serves all views. docs/bridge.md explains it; ADR 0001 says why.

Nothing in here may know of the product that it serves: only the standard library, flask, werkzeug, greenlet and
asgiref are imported, so that the module can be lifted out as it is.
"""

from __future__ import annotations

import asyncio
import io
import sys
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast
from urllib.parse import unquote_to_bytes

import greenlet
from werkzeug.exceptions import RequestEntityTooLarge

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import WSGIEnvironment
    from asgiref.typing import ASGIReceiveCallable as Receive
    from asgiref.typing import ASGISendCallable as Send
    from asgiref.typing import ASGISendEvent, HTTPResponseStartEvent, HTTPScope, Scope
    from flask import Flask

T = TypeVar("T")

Lifespan = Callable[[], AbstractAsyncContextManager[object]]

# input_terminated: the body is at hand and ends where it ends, with a Content-Length or without one.
_ALWAYS = {"wsgi.version": (1, 0), "wsgi.multithread": False, "wsgi.multiprocess": True, "wsgi.run_once": False}
_ALWAYS["wsgi.input_terminated"] = True


class ASGIBridge:
    """An ASGI 3 application that answers with a Flask app.

    ``lifespan()`` gives the async context manager that is open while the server serves. When entering it raises, the
    server is told why and does not start.

    ``max_body_bytes`` bounds what is kept of a request's body. Of a larger one nothing more is read, and the view that
    reads it gets werkzeug's ``RequestEntityTooLarge``, as with Flask's own ``MAX_CONTENT_LENGTH``.

    Several bridges may be built over one app.
    """

    def __init__(self, app: Flask, *, lifespan: Lifespan = nullcontext, max_body_bytes: int = 16 * 2**20) -> None:
        self._app = app
        self._lifespan = lifespan
        self._max_body_bytes = max_body_bytes
        _await_on_the_loop(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of the server.

        Raises:
            Exception: what Flask lets through (``PROPAGATE_EXCEPTIONS``, ``TESTING``, ``DEBUG``), for the server.
            NotImplementedError: a scope of another type, as ASGI asks.
        """
        if scope["type"] == "http":
            await self._serve_http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000, "reason": ""})  # not accepted: the server says 403
        else:
            raise NotImplementedError(f"no support for the ASGI scope {scope['type']!r}")

    async def _serve_http(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        body = await self._read_body(scope, receive)
        if body is not None:
            await _in_greenlet(_Exchange(self._app, environ_of(scope, body), receive, send).run)

    async def _read_body(self, scope: HTTPScope, receive: Receive) -> io.IOBase | None:
        """Return the whole body; None when the client left before its end."""
        if _announced_bytes(scope) > self._max_body_bytes:
            return _TooLarge()
        body = io.BytesIO()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body.write(message.get("body", b""))
            if body.tell() > self._max_body_bytes:
                return _TooLarge()
            if not message.get("more_body", False):
                body.seek(0)
                return body

    async def _serve_lifespan(self, receive: Receive, send: Send) -> None:
        phase = "startup"
        await receive()
        try:
            async with self._lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
                phase = "shutdown"
        except Exception as error:
            failed = {"type": f"lifespan.{phase}.failed", "message": str(error) or type(error).__name__}
            await send(cast("ASGISendEvent", failed))
            raise
        await send({"type": "lifespan.shutdown.complete"})


class _RequestGreenlet(greenlet.greenlet):
    """Runs one request; its parent is the greenlet from which its task last entered it."""

    task: asyncio.Task[Any] | None


@types.coroutine
def _in_greenlet(function: Callable[[], None]) -> Generator[Any, Any, None]:
    """Await a function that may call `_await`; contextvars that it sets are its own.

    What the greenlet hands out are the futures that its coroutines wait for. They are yielded to the task as if the
    task itself had awaited them, and what the task is sent or thrown (a cancellation) goes back in.
    """
    green = _RequestGreenlet(function)
    green.task = asyncio.current_task()
    green.gr_context = copy_context()
    future = green.switch()
    while not green.dead:
        try:
            sent = yield future
        except BaseException as error:  # noqa: BLE001 - not handled here: it belongs to the coroutine that waits
            green.parent = greenlet.getcurrent()
            future = green.throw(error)
        else:
            green.parent = greenlet.getcurrent()
            future = green.switch(sent)


def _await(awaitable: Awaitable[T]) -> T:
    """Wait for an awaitable from inside a request's greenlet while the loop runs on.

    The coroutine runs in this greenlet, only its futures leave it: so synchronous code that a coroutine calls may
    come back here, to any depth (an async view that sends a signal with async receivers, say).
    """
    green = greenlet.getcurrent()
    coroutine = awaitable.__await__()
    resume: Callable[[Any], Any] = coroutine.send
    value: object = None
    while True:
        try:
            future = resume(value)
        except StopIteration as stop:
            return cast(T, stop.value)
        try:
            resume, value = coroutine.send, cast(greenlet.greenlet, green.parent).switch(future)
        except BaseException as error:  # noqa: BLE001 - not handled here: the coroutine decides
            resume, value = coroutine.throw, error


def _await_on_the_loop(app: Flask) -> None:
    """Make `app.async_to_sync` await on the loop inside a request's greenlet; elsewhere it stays what it was."""
    original = app.async_to_sync
    if getattr(original, "awaits_on_the_loop", False):
        return

    def async_to_sync(func: Callable[..., Awaitable[T]]) -> Callable[..., T]:
        @wraps(func)
        def call(*args: Any, **kwargs: Any) -> T:
            current = greenlet.getcurrent()
            # Another task that has been started eagerly (3.12) runs on this stack, too, and must not leave it.
            if isinstance(current, _RequestGreenlet) and current.task is asyncio.current_task():
                return _await(func(*args, **kwargs))
            return cast(T, original(func)(*args, **kwargs))  # type: ignore[arg-type]  # Flask says Coroutine

        return call

    async_to_sync.awaits_on_the_loop = True  # type: ignore[attr-defined]  # the mark looked for above
    app.async_to_sync = async_to_sync  # type: ignore[method-assign]  # Flask: "override this method"


@dataclass(slots=True)
class _Exchange:
    """One request and its answer, seen from inside the greenlet."""

    _app: Flask
    _environ: WSGIEnvironment
    _receive: Receive
    _send: Send
    _head: HTTPResponseStartEvent | None = None
    _head_sent: bool = False
    _unsent_bytes: int | None = None  # of the body; None while only its end can tell
    _replacement: Iterable[bytes] | None = None  # of an answer whose head can't be sent

    def run(self) -> None:
        chunks = self._app(self._environ, self._start_response)
        try:
            if self._replacement is not None:
                _close(chunks)
                chunks = self._replacement
            _await(self._respond(chunks))
        finally:
            _close(chunks)

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None
    ) -> Callable[[bytes], object]:
        """WSGI's ``start_response``, as PEP 3333 has it.

        A header that is not Latin-1 can't be sent. Flask is still in its request here, so it gets the chance to
        answer as it would for any other error of the view.
        """
        if exc_info is None:
            if self._head is not None:
                raise RuntimeError("the application called start_response twice without exc_info")
        elif self._head_sent and exc_info[1] is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        try:
            self._head = _head(status, headers)
        except UnicodeEncodeError as error:
            if self._replacement is not None:
                raise
            self._replacement = ()
            self._replacement = self._app.handle_exception(error)(self._environ, self._start_response)
        else:
            self._unsent_bytes = _body_bytes(self._head)
        return self._write

    def _write(self, chunk: bytes) -> None:
        _await(self._send_chunk(chunk, more=True))

    async def _respond(self, chunks: Iterable[bytes]) -> None:
        """Send the answer as it comes; the usual answer, whole in its first chunk, takes one message."""
        iterator = iter(chunks)
        if self._unsent_bytes is None:
            await self._stream(iterator)
            return
        chunk = next(filter(None, iterator), b"") if self._unsent_bytes else b""
        await self._send_chunk(chunk, more=self._unsent_bytes > len(chunk) > 0)
        if self._unsent_bytes > 0 and chunk:
            await self._stream(iterator)

    async def _stream(self, chunks: Iterable[bytes]) -> None:
        async with _while_connected(self._receive):
            for chunk in chunks:
                if chunk:
                    await self._send_chunk(chunk, more=True)
                # A server that can write at once does not suspend: without this, a long stream would be alone.
                await asyncio.sleep(0)
            await self._send_chunk(b"", more=False)

    async def _send_chunk(self, chunk: bytes, *, more: bool) -> None:
        if not self._head_sent:
            if self._head is None:
                raise RuntimeError("the application sent a body before it called start_response")
            self._head_sent = True
            await self._send(self._head)
        if self._unsent_bytes is not None:
            self._unsent_bytes -= len(chunk)
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})


@asynccontextmanager
async def _while_connected(receive: Receive) -> AsyncIterator[None]:
    """Cut what runs inside short, without an error, when the client goes away."""
    loop = asyncio.get_running_loop()
    lifeline = asyncio.timeout(None)

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        lifeline.reschedule(loop.time())

    try:
        async with lifeline:
            watcher = loop.create_task(watch())
            try:
                yield
            finally:
                watcher.cancel()
    except TimeoutError:
        if not lifeline.expired():
            raise


def _announced_bytes(scope: HTTPScope) -> int:
    lengths = (value for name, value in scope["headers"] if name == b"content-length" and value.isdigit())
    return max((int(length[:19]) for length in lengths), default=0)


class _TooLarge(io.RawIOBase):
    """The body of a request that is larger than the bridge accepts: an error for whoever reads it."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> NoReturn:
        raise RequestEntityTooLarge


def _close(chunks: Iterable[bytes]) -> None:
    getattr(chunks, "close", lambda: None)()


def _head(status: str, headers: list[tuple[str, str]]) -> HTTPResponseStartEvent:
    return {
        "type": "http.response.start",
        "status": int(status[:3]),
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "trailers": False,
    }


def _body_bytes(head: HTTPResponseStartEvent) -> int | None:
    """Return how long the body will be; None when only its end can tell."""
    if head["status"] in (204, 304):
        return 0
    return next((int(value) for name, value in head["headers"] if name == b"content-length"), None)


def environ_of(scope: HTTPScope, body: io.IOBase) -> WSGIEnvironment:
    """Return the WSGI environ (PEP 3333) of an ASGI request whose body is at hand.

    ``PATH_INFO`` comes from the raw path where the server gives it, since `scope["path"]` has lost the bytes that were
    not UTF-8. ``asgi.scope`` is the scope itself, for whoever needs what WSGI has no word for.
    """
    scheme = scope.get("scheme", "http")
    host, port = scope.get("server") or ("localhost", None)
    client = scope.get("client")
    root_path = scope.get("root_path", "")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": root_path.encode().decode("latin-1"),
        "PATH_INFO": _path_info(scope, root_path),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or (443 if scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/" + scope["http_version"],
        "wsgi.url_scheme": scheme,
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "asgi.scope": scope,
        **_ALWAYS,
    }
    if client is not None:
        environ |= {"REMOTE_ADDR": client[0], "REMOTE_PORT": str(client[1])}
    for name, value in scope["headers"]:
        key = _environ_key(name)
        if key is not None:
            text = value.decode("latin-1")
            separator = "; " if key == "HTTP_COOKIE" else ","
            environ[key] = environ[key] + separator + text if key in environ else text
    return environ


def _path_info(scope: HTTPScope, root_path: str) -> str:
    raw = scope.get("raw_path")
    path = scope["path"].encode() if raw is None else unquote_to_bytes(raw)
    root = root_path.encode()
    if root and (path == root or path.startswith(root + b"/")):
        path = path[len(root) :]
    return path.decode("latin-1")


@lru_cache(maxsize=1024)
def _environ_key(name: bytes) -> str | None:
    """Return the environ's key of a header; None for one that a client could pass off as another.

    `X_Role` would land on the key of `X-Role`, which a proxy may have vouched for.
    """
    if b"_" in name:
        return None
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key

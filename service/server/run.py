"""One process of Hypercorn, from its socket to its drain."""

from __future__ import annotations

import asyncio
import errno
import signal
import sys
from collections.abc import Callable

import hypercorn.asyncio.run
import hypercorn.protocol
from asgiref.typing import ASGI3Application
from hypercorn.asyncio.run import worker_serve
from hypercorn.config import Sockets
from hypercorn.utils import LifespanFailureError, repr_socket_addr, wrap_app

from service.server import heap
from service.server.connection import BoundedConnection, IdleTimers
from service.server.doorkeeper import Doorkeeper
from service.server.http1 import HTTP1, ServerConfig


class CannotServe(Exception):
    """The server does not start; the message says why and what to do."""


def run(
    app: ASGI3Application, config: ServerConfig, *, on_ready: Callable[[str], None], on_stop: Callable[[], None]
) -> None:
    """Serve until SIGINT or SIGTERM, then let the requests in flight end, ``config.graceful_timeout`` seconds at most.

    A client that does not read what is cut then is waited for two seconds more.

    ``on_ready(address)`` is called when a socket listens, with HOST:PORT or unix:PATH, ``on_stop()`` at the signal.

    Raises:
        CannotServe: the address can't be had, or the app's lifespan failed to start.
    """
    # The one seam with Hypercorn: the names under which it finds its connections and their HTTP/1.1.
    hypercorn.asyncio.run.TCPServer = BoundedConnection  # type: ignore[attr-defined,assignment]  # not exported
    hypercorn.protocol.H11Protocol = HTTP1  # type: ignore[attr-defined,assignment]  # the same by use
    BoundedConnection.timers, HTTP1.doorkeeper = IdleTimers(), Doorkeeper(config.seconds_apart)
    sockets = _listen(config)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(app, config, sockets, on_ready, on_stop))
    except LifespanFailureError as error:
        raise CannotServe(str(error)) from error
    finally:
        for sock in sockets.insecure_sockets:
            sock.close()


async def _serve(
    app: ASGI3Application,
    config: ServerConfig,
    sockets: Sockets,
    on_ready: Callable[[str], None],
    on_stop: Callable[[], None],
) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)

    async def stop() -> None:
        heap.freeze()
        # Hypercorn begins to wait for the end once every socket listens.
        for sock in sockets.insecure_sockets:
            on_ready(repr_socket_addr(sock.family, sock.getsockname()))
        await stopped.wait()
        on_stop()

    wrapped = wrap_app(app, config.wsgi_max_body_size, "asgi")  # type: ignore[arg-type]  # the same protocol, spelt twice
    await worker_serve(wrapped, config, sockets=sockets, shutdown_trigger=stop)


def _listen(config: ServerConfig) -> Sockets:
    try:
        return config.create_sockets()
    except OSError as error:
        address = ", ".join(config.bind)
        if error.errno == errno.EADDRINUSE:
            message = f"{address} is taken: stop what listens there, or choose another address with --bind"
        else:
            message = f"can't listen on {address}: {error.strerror or error}"
        raise CannotServe(message) from error
    except (OverflowError, ValueError) as error:  # a port or a descriptor that is none
        raise CannotServe(f"can't listen on {', '.join(config.bind)}: {error}") from error


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Take uvloop where it exists: with asyncio's own loop, Python 3.12.1 and later ignore the graceful time-out."""
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - it does not exist on Windows

    return uvloop.new_event_loop

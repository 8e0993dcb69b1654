"""One process, from its socket to its drain."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
from collections.abc import Callable
from functools import partial
from importlib import import_module, metadata
from typing import Any, cast

from asgiref.typing import ASGI3Application
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.run import worker_serve
from hypercorn.config import Sockets
from hypercorn.utils import LifespanFailureError, LifespanTimeoutError, repr_socket_addr

from service.server import heap
from service.server.config import ServerConfig
from service.server.leash import READY, WORN_OUT, Leash

TESTED = ("0.18.0",)
"""The releases of Hypercorn that the engine was tested with."""

ORPHAN_SECONDS = 0.5
"""For what is under way when the supervisor is gone."""

log = logging.getLogger("hypercorn.error")


class CannotServe(Exception):
    """The server does not start; the message says why and what to do."""


def run(
    app: ASGI3Application,
    config: ServerConfig,
    *,
    on_ready: Callable[[str], None],
    on_stop: Callable[[], None] = lambda: None,
    leash: Leash | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then let the requests in flight end, ``config.graceful_timeout`` seconds at most.

    A client that does not read what is cut then is waited for two seconds more. With a release of Hypercorn that the
    engine was not tested with it is Hypercorn alone that serves.

    ``on_ready(address)`` is called when a socket listens, with HOST:PORT or unix:PATH, ``on_stop()`` at the signal.

    With a ``leash`` it serves on its supervisor's sockets, in place of ``config.bind``, and tells the supervisor, in
    place of ``on_ready``, that it is ready, or has had ``config.max_requests``. When the supervisor is gone, so is this
    process, `ORPHAN_SECONDS` later.

    Raises:
        CannotServe: the address can't be had, or the app's lifespan failed to start.
    """
    if leash is not None:
        config.bind = leash.binds
        config.when_worn_out = partial(leash.say, WORN_OUT)
    sockets = listen(config)
    try:
        with asyncio.Runner(loop_factory=_loop_factory(config.worker_class)) as runner:
            runner.run(_serve(app, config, sockets, on_ready, on_stop, leash))
    except asyncio.CancelledError:  # stopped before it was ready
        pass
    except (LifespanFailureError, LifespanTimeoutError) as error:
        raise CannotServe(str(error)) from error
    finally:
        for sock in (*sockets.insecure_sockets, *sockets.secure_sockets):
            sock.close()


async def _serve(
    app: ASGI3Application,
    config: ServerConfig,
    sockets: Sockets,
    on_ready: Callable[[str], None],
    on_stop: Callable[[], None],
    leash: Leash | None,
) -> None:
    loop, stopped, ready = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    serving = asyncio.current_task()

    def on_signal() -> None:
        stopped.set()
        if serving is not None and not ready.is_set():
            serving.cancel()  # the app's start may take long

    def on_supervisor_gone() -> None:
        loop.call_later(ORPHAN_SECONDS, os._exit, 1)
        on_signal()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    if leash is not None:
        leash.watch(on_supervisor_gone)

    async def stop() -> None:
        ready.set()
        heap.freeze()
        if leash is not None:
            leash.say(READY)
            leash.beat()
        else:
            for sock in (*sockets.insecure_sockets, *sockets.secure_sockets):
                on_ready(repr_socket_addr(sock.family, sock.getsockname()))
        await stopped.wait()
        on_stop()

    wrapped = ASGIWrapper(cast(Any, app))  # the same protocol, spelt twice
    await _engine()(wrapped, config, sockets=sockets, shutdown_trigger=stop)


def _engine() -> Callable[..., Any]:
    """Return what serves: the engine, or Hypercorn's own."""
    found = metadata.version("hypercorn")
    if found in TESTED:
        return import_module("service.server.serve").serve  # type: ignore[no-any-return]  # what it imports may be gone
    log.warning("Hypercorn %s serves alone: the engine was not tested with it", found)
    return worker_serve


def listen(config: ServerConfig) -> Sockets:
    """Bind the sockets of a configuration.

    Raises:
        CannotServe: an address, or a certificate, can't be had.
    """
    if config.quic_bind:
        raise CannotServe("quic_bind: HTTP/3 is not served here, but by `hypercorn`")
    try:
        config.create_ssl_context()
    except OSError as error:
        raise CannotServe(f"can't use {config.certfile} and {config.keyfile}: {error}") from error
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


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop of that name, `uvloop` or `asyncio`."""
    if name == "asyncio":
        return None
    import uvloop  # noqa: PLC0415 - it does not exist on Windows

    return uvloop.new_event_loop

"""The server's process, run inside the test's: how it begins and how it ends."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any, cast

import hypercorn.asyncio.run
import hypercorn.protocol
import pytest
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.protocol.h11 import H11Protocol
from service.server.config import ServerConfig
from service.server.run import CannotServe, run


@pytest.fixture(autouse=True)
def hypercorns_own_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back what `run` exchanges in Hypercorn for good."""
    monkeypatch.setattr(hypercorn.protocol, "H11Protocol", H11Protocol)
    monkeypatch.setattr(hypercorn.asyncio.run, "TCPServer", TCPServer)


@pytest.fixture(autouse=True)
def collector_as_before() -> Iterator[None]:
    """Undo what a server that is ready does to the garbage collector of its process."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def config() -> ServerConfig:
    made = ServerConfig()
    made.bind = ["127.0.0.1:0"]
    made.errorlog = None
    return made


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Go through the lifespan, and serve nothing."""
    while True:
        phase = (await receive())["type"]
        await send({"type": f"{phase}.complete"})
        if phase == "lifespan.shutdown":
            return


async def failing(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the shelves are empty"})


def serve(app: Any, config: ServerConfig, *, on_ready: Callable[[str], None]) -> list[str]:
    """Run a server, and return what it has told, and when."""
    told: list[str] = []

    def ready(address: str) -> None:
        told.append(address)
        on_ready(address)

    run(cast(Any, app), config, on_ready=ready, on_stop=lambda: told.append("stop"))
    return told


def signals(number: signal.Signals) -> Callable[[str], None]:
    return lambda _: signal.raise_signal(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_it_tells_its_address_and_then_that_it_stops(number: signal.Signals) -> None:
    address, stop = serve(application, config(), on_ready=signals(number))
    assert address.startswith("127.0.0.1:")
    assert not address.endswith(":0")
    assert stop == "stop"


def test_the_address_listens_when_it_is_told() -> None:
    connected = []

    def connect(address: str) -> None:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), 2):
            connected.append(address)
        signal.raise_signal(signal.SIGTERM)

    assert serve(application, config(), on_ready=connect)[0] in connected


def test_what_start_up_has_made_is_out_of_the_collectors_sight() -> None:
    frozen = []

    def look(address: str) -> None:
        frozen.append(gc.get_freeze_count())
        signal.raise_signal(signal.SIGTERM)

    serve(application, config(), on_ready=look)
    assert frozen[0] > 0


def test_clients_that_leave_before_they_are_let_in_leave_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def come_and_leave(address: str) -> None:
        host, port = address.split(":")
        for _ in range(100):
            client = socket.create_connection((host, int(port)), 2)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
            client.close()
        asyncio.get_running_loop().call_later(0.2, signal.raise_signal, signal.SIGTERM)

    serve(application, config(), on_ready=come_and_leave)

    assert caplog.records == []


def test_a_lifespan_that_fails_says_why() -> None:
    with pytest.raises(CannotServe, match="the shelves are empty"):
        serve(failing, config(), on_ready=lambda _: pytest.fail("it serves"))
    gc.collect()  # a socket that was left open is reported now, as this test's

"""The server as a process with an app of the tests, and what it holds."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.processes import Running, environment, running, unmeasured, wait_until
from tests.support.sockets import Connection

LOOPS = ("uvloop", "asyncio")
APP = "tests.server.apps:app"
LOOPBACK = "127.0.0.1:0"
Connect = Callable[[Running], Connection]


def written(folder: Path, settings: Mapping[str, object]) -> Path:
    """Write settings down as TOML, which has numbers, strings and lists as JSON has them."""
    file = folder / "server.toml"
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
    return file


def serving(
    folder: Path,
    loop: str,
    *arguments: str,
    app: str = APP,
    env: Mapping[str, str] | None = None,
    told: str = "",
    **settings: object,
) -> AbstractContextManager[Running]:
    """Start the server, which stops soon unless the settings say otherwise."""
    file = written(folder, {"bind": [LOOPBACK], "graceful_timeout": 0.2, **settings})
    command = (sys.executable, "-m", "service.server", app, "-k", loop, "-c", str(file), *arguments)
    return running(*command, folder=folder, env=env or unmeasured(environment()), told=told)


@contextmanager
def serving_tls(folder: Path, loop: str, certificate: Path, **settings: object) -> Iterator[Running]:
    """Start the server with TLS."""
    file = written(
        folder,
        {
            "bind": [LOOPBACK],
            "certfile": str(certificate),
            "keyfile": str(certificate),
            "graceful_timeout": 0.2,
            **settings,
        },
    )
    command = (sys.executable, "-m", "service.server", APP, "-k", loop, "-c", str(file))
    started = running(*command, folder=folder, env=unmeasured(environment()), told="https://127.0.0.1:")
    with started as server:
        found = re.search(r"https://127\.0\.0\.1:(\d+)", server.output())
        assert found
        yield dataclasses.replace(server, port=int(found[1]))


class Census(NamedTuple):
    """What a server holds while it answers this very question."""

    tasks: int
    descriptors: int


def census(connection: Connection) -> Census:
    """Count the tasks and descriptors of a server."""
    held = connection.request("GET", "/census").json()
    return Census(held["tasks"], held["descriptors"])


def sent_to(*clients: Connection, asking: Connection) -> int:
    """Return how many bytes of streams the app has given the server for these clients."""
    sent = asking.request("GET", "/census").json()["sent"]
    return sum(sent.get(str(client.socket.getsockname()[1]), 0) for client in clients)


def base(server: Running, connect: Connect = Connection) -> Census:
    """Return what a server holds when nobody but the asker is there."""
    with connect(server) as connection:
        connection.request("GET", "/hello")
    with connect(server) as connection:
        return census(connection)


def settles(server: Running, before: Census, connect: Connect = Connection, limit_seconds: float = 8) -> None:
    """Wait until a server holds what it has held before."""

    def is_back() -> bool:
        with connect(server) as connection:
            return census(connection) == before

    wait_until(is_back, limit_seconds)


def resident_kib(server: Running) -> int:
    """Return how much memory a server has."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1])


def assert_stops_cleanly(server: Running) -> None:
    """Stop a server, which has nothing to complain about."""
    assert server.stop() == 0
    assert_said_nothing_bad(server)


def assert_said_nothing_bad(server: Running, after: int = 0) -> None:
    """Look for what Python and the event loops say when something was forgotten."""
    output = server.output()[after:]
    assert not [sign for sign in ("Traceback", "never retrieved", "destroyed", "Warning", "Fatal") if sign in output], (
        output
    )

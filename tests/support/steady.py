"""Clients that keep asking, at a pace, over connections that they keep: whatever fails meanwhile is counted."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Send = Callable[[http.client.HTTPConnection], object]
"""Makes a request, and raises what a client would not put up with."""
CLIENTS, A_SECOND = 8, 200.0


@dataclass
class Kept:
    """What came of it; to be read when all clients have ended."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)
    connections: int = 0
    seconds: list[float] = field(default_factory=list)
    """What each took."""


def get(path: str) -> Send:
    """Ask for what is there."""

    def send(client: http.client.HTTPConnection) -> None:
        client.request("GET", path)
        answer = client.getresponse()
        answer.read()
        if answer.status != 200:
            raise http.client.HTTPException(f"status {answer.status}")

    return send


@contextmanager
def asking(
    port: int,
    send: Send,
    *,
    clients: int = CLIENTS,
    a_second: float = A_SECOND,
    connect: Callable[[], http.client.HTTPConnection] | None = None,
) -> Iterator[Kept]:
    """Have clients ask so often in all; who is told that a connection closes makes another one for the next request.

    A connection that is closed without a word is a failure, as to a client that sends what can't be repeated.
    """
    kept, ended, lock = Kept(), threading.Event(), threading.Lock()

    def ask(number: int) -> None:
        client = connect() if connect else http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        due = time.monotonic() + number / a_second
        while not ended.wait(max(0.0, due - time.monotonic())):
            due += clients / a_second
            failure, is_new, began = "", client.sock is None, time.monotonic()
            try:
                send(client)
            except (OSError, http.client.HTTPException) as error:
                failure = f"{time.monotonic():.3f} {type(error).__name__}: {error}"
                client.close()
            with lock:
                kept.answered += not failure
                kept.failures += [failure] if failure else []
                kept.connections += is_new
                kept.seconds.append(time.monotonic() - began)
        client.close()

    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield kept
    finally:
        ended.set()
        for thread in threads:
            thread.join()

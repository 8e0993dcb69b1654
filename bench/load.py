"""A client that keeps a server busy: a closed loop over keep-alive connections, all on one event loop in one process.

It has to cost less than the servers it measures, hence a buffer that all connections share and a head of which no more
is read than three fields: what is read is done with before anything else is. That the bodies are right is proven
before. Only answers with `Content-Length` are understood. An open loop over the same connections is in
`bench.open_load`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from bench.works import Malformed, Work

TIMEOUT_SECONDS = 5
SWEEP_SECONDS = 0.5
"""How often time-outs are looked for."""
AT_ONCE = 50
"""So many connections are opened at once: a server's backlog has room for 100."""
RETRY_SECONDS = 0.05
BUFFER = bytearray(256 * 1024)
VIEW = memoryview(BUFFER)


@dataclass(slots=True)
class Outcome:
    """What came of a run: the seconds that each request took, of all that were answered as expected; what went wrong.

    ``seconds`` is the time from the first request to the last answer, or as long as was asked for if that is longer,
    ``client_seconds`` the processor time that the client took for it. Of an open loop ``in_time`` counts the answers
    that came in the ``asking_seconds`` in which requests were due: those to the last may be long in coming. ``faults``
    says what the errors were, and how often. ``reconnections`` counts the connections that a server closed as HTTP
    allows: it is no error.
    """

    latencies: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    timeouts: int = 0
    reconnections: int = 0
    seconds: float = 0.0
    client_seconds: float = 0.0
    in_time: int = 0
    asking_seconds: float = 0.0

    @property
    def errors(self) -> int:
        return self.faults.total()


class Connection(asyncio.BufferedProtocol):
    """One keep-alive connection, with one request under way at most. The load has another when it has ended."""

    __slots__ = ("_closing", "_early", "_load", "_missing", "_place", "_request", "_since", "_transport", "asked_at")

    def __init__(self, load: Load, place: int) -> None:
        self._load = load
        self._place = place  # among the connections of the load
        self._transport: asyncio.WriteTransport | None = None
        self._request = load.work.requests[0]
        self._missing = 0  # so many bytes of the body are to come; with 0 it is the head that is
        self._early = b""  # of a head that has not come to its end
        self._closing = False  # after this answer
        self._since = 0.0  # what the latency counts from
        self.asked_at = 0.0  # on the clock of `time.perf_counter`; 0 when nothing is under way

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def ask(self, due_at: float = 0.0) -> None:
        """Send the next request, whose latency counts from when it was due, or from now; connect first if it is new."""
        transport = self._transport
        if transport is None:
            self._load.connect(self)
        else:
            self._request = request = next(self._load.requests)
            self.asked_at = now = time.perf_counter()
            self._since = due_at or now
            transport.write(request.sent)

    def get_buffer(self, _hint: int) -> bytearray:
        return BUFFER

    def buffer_updated(self, count: int) -> None:
        try:
            missing = self._missing - count if self._missing else self._after_head(count)
            if missing < 0 or not self.asked_at:
                raise Malformed("more than was asked for")
        except Malformed as fault:
            self._load.outcome.faults[str(fault)] += 1
            self._abandon()
            return
        self._missing = missing
        if not missing and not self._early:
            self._answered()

    def connection_lost(self, _reason: Exception | None) -> None:
        if self._transport is not None:  # it was not us
            self._transport = None
            if self.asked_at:
                self._load.outcome.faults["no answer"] += 1
                self.asked_at = 0.0
            else:
                self._load.outcome.reconnections += 1
            self._load.replace(self._place)

    def give_up(self) -> None:
        """Count the request that is under way as timed out, and have another connection go on."""
        self._load.outcome.timeouts += 1
        self._abandon()

    def close(self) -> None:
        """Close it, if it is open."""
        transport, self._transport = self._transport, None
        self.asked_at = 0.0
        if transport is not None:
            transport.close()

    def _answered(self) -> None:
        load = self._load
        load.answered_at = now = time.perf_counter()
        load.outcome.latencies.append(now - self._since)
        self.asked_at = 0.0
        if self._closing:
            load.outcome.reconnections += 1
            self.close()
            load.replace(self._place)
        else:
            load.ready(self)

    def _after_head(self, count: int) -> int:
        """Return how many bytes are to come after those that came now and hold the end of a head, or none."""
        if self._early or (end := BUFFER.find(b"\r\n\r\n", 0, count)) < 0:
            self._early += bytes(VIEW[:count])
            end = self._early.find(b"\r\n\r\n")
            if end < 0:
                return 0
            head, count, self._early = self._early[:end], len(self._early), b""
        else:
            head = bytes(VIEW[:end])
        length, self._closing = self._request.read(head)
        return end + 4 + length - count

    def _abandon(self) -> None:
        transport, self._transport = self._transport, None
        self.asked_at = 0.0
        if transport is not None:
            transport.abort()
        self._load.replace(self._place)


class Load:
    """A number of connections to a port of 127.0.0.1, and one kind of work to be asked over them."""

    def __init__(self, port: int, work: Work) -> None:
        self.work = work
        self.requests = itertools.cycle(work.requests)
        self.going = False
        self.answered_at = 0.0  # the last time
        self.outcome = Outcome()
        self.opening = 0  # so many connections are
        self._port = port
        self._connections: list[Connection] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self._under_way = 0  # of those that are waited for
        self._rested = asyncio.Event()

    async def open(self, count: int, *, idle: bool = False) -> Outcome:
        """Open so many connections, some at a time, with a request over each unless they are to be idle."""
        self.outcome = Outcome()
        for start in range(0, count, AT_ONCE):
            fresh = [Connection(self, place) for place in range(start, min(start + AT_ONCE, count))]
            await asyncio.gather(*map(self._connect, fresh))
            self._connections += fresh
            if not idle:
                for connection in fresh:
                    connection.ask()
                await self._until_idle()
        return self.outcome

    async def run(self, seconds: float) -> Outcome:
        """Ask again and again over all connections for so long, and wait for what is under way then."""
        self.outcome = Outcome()
        began, began_process = time.perf_counter(), time.process_time()
        self.going = True
        for connection in self._connections:
            connection.ask()
        await self._ask_until(began + seconds)
        return await self._finish(began, began_process)

    def close(self) -> None:
        """Close all connections."""
        for task in self._connecting:
            task.cancel()
        for connection in self._connections:
            connection.close()

    def ready(self, connection: Connection) -> None:
        """Have a connection that has nothing under way go on, or rest."""
        if self.going:
            connection.ask()
        else:
            self._rest()

    def replace(self, place: int) -> None:
        """Have another connection where one has ended."""
        self._connections[place] = Connection(self, place)
        self.ended(place)
        self._rest()

    def ended(self, place: int) -> None:
        """Open the other connection if something is to be asked over it, and else when something is.

        One that is open and idle would stop a server that serves one connection after the other.
        """
        if self.going:
            self.connect(self._connections[place])

    def connect(self, connection: Connection) -> None:
        """Have a connection opened that is ready then."""
        self.opening += 1
        task = asyncio.get_running_loop().create_task(self._connect_at_last(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def _rest(self) -> None:
        """Take notice that a connection that was waited for has nothing under way any more."""
        self._under_way -= 1
        if self._under_way <= 0:
            self._rested.set()

    async def _connect(self, connection: Connection) -> None:
        await asyncio.get_running_loop().create_connection(lambda: connection, "127.0.0.1", self._port)

    async def _connect_at_last(self, connection: Connection) -> None:
        while True:
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    await self._connect(connection)
                break
            except OSError:  # a time-out is one, too
                self.outcome.faults["no connection"] += 1
                await asyncio.sleep(RETRY_SECONDS)
        self.opening -= 1
        self.ready(connection)

    async def _ask_until(self, end: float) -> None:
        while (left := end - time.perf_counter()) > 0:
            await asyncio.sleep(min(left, SWEEP_SECONDS))
            self._sweep()

    async def _finish(self, began: float, began_process: float) -> Outcome:
        """Wait for what is under way, ask no more, and return what came of the run that began then."""
        outcome, asking_seconds = self.outcome, time.perf_counter() - began
        self.going = False
        await self._until_idle()
        outcome.seconds = max(self.answered_at - began, asking_seconds)
        outcome.client_seconds = time.process_time() - began_process
        return outcome

    async def _until_idle(self) -> None:
        """Wait for the answers to all that is under way: each comes, or is given up in time."""
        while under_way := sum(connection.asked_at > 0 for connection in self._connections):
            self._under_way = under_way
            self._rested.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._rested.wait()
            self._sweep()

    def _sweep(self) -> None:
        late = time.perf_counter() - TIMEOUT_SECONDS
        for connection in self._connections:
            if 0 < connection.asked_at < late:
                connection.give_up()

"""An open loop: requests are due at a rate, whatever becomes of those before them, and none is left out.

A request that is due goes out over an idle connection, or waits for one. Its latency counts from when it was due, so a
server that stalls answers for all whom it keeps waiting.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench.load import SWEEP_SECONDS, TIMEOUT_SECONDS, Connection, Load, Outcome
from bench.works import Work

LEAD_SECONDS = 0.01
"""The first request is due so long after the beginning."""


def schedule(rate: float, seconds: float, seed: int) -> list[float]:
    """Return when requests are due that come by chance, so many a second: the same ones for the same seed."""
    chance, due, moment = random.Random(seed), list[float](), 0.0
    while (moment := moment + chance.expovariate(rate)) < seconds:
        due.append(moment)
    return due


class OpenLoad(Load):
    """Connections over which requests go out when they are due."""

    def __init__(self, port: int, work: Work) -> None:
        super().__init__(port, work)
        self._due: deque[float] = deque()
        self._waiting: deque[float] = deque()  # when they were due
        self._idle: deque[Connection] = deque()
        self._closed: deque[int] = deque()  # their places
        self._following = False
        self._wake_at: Callable[[float], None] = lambda _moment: None

    async def follow(self, offsets: Sequence[float], seconds: float) -> Outcome:
        """Ask what is due in so long; wait for the answers, and for connections to what has none then.

        A request that has waited for a connection for 5 s has timed out, as one has that was out for so long.
        """
        await asyncio.gather(*self._connecting)  # else those would be opened again, and asked for two at once
        self.outcome, self._waiting = Outcome(), deque()
        self._idle = deque(connection for connection in self._connections if connection.is_open)
        self._closed = deque(place for place, connection in enumerate(self._connections) if not connection.is_open)
        began, began_process = time.perf_counter(), time.process_time()
        self._due = deque(began + LEAD_SECONDS + offset for offset in offsets)
        self._following = True
        with _alarm(self._go_on) as self._wake_at:
            self._go_on()
            await self._ask_until(began + LEAD_SECONDS + seconds)
            in_time, asking_seconds = len(self.outcome.latencies), time.perf_counter() - began - LEAD_SECONDS
            while self._due or self._waiting:
                await asyncio.sleep(SWEEP_SECONDS)
                self._sweep()
        self._following = False
        outcome = await self._finish(began, began_process)
        outcome.in_time, outcome.asking_seconds = in_time, asking_seconds
        return outcome

    def ready(self, connection: Connection) -> None:
        """Have a connection that has nothing under way take what waits, or wait for what is due."""
        if self._following:
            self._idle.append(connection)
            self._send()
        else:
            super().ready(connection)

    def ended(self, place: int) -> None:
        """Have the other connection opened when there is none for what is due."""
        if self._following:
            self._closed.append(place)
            self._send()
        else:
            super().ended(place)

    def _go_on(self) -> None:
        """Ask what is due by now, and set the alarm to the next."""
        now, due = time.perf_counter(), self._due
        while due and due[0] <= now:
            self._waiting.append(due.popleft())
        self._send()
        if due:
            self._wake_at(due[0])

    def _send(self) -> None:
        waiting, idle = self._waiting, self._idle
        while waiting and idle:
            connection = idle.popleft()  # the one that has been idle for longest: clients are many
            if connection.is_open:
                connection.ask(waiting.popleft())
        while self._closed and self.opening < len(waiting):
            self.connect(self._connections[self._closed.popleft()])

    def _sweep(self) -> None:
        super()._sweep()
        late = time.perf_counter() - TIMEOUT_SECONDS
        while self._waiting and self._waiting[0] < late:
            self._waiting.popleft()
            self.outcome.timeouts += 1


_LIBC = ctypes.CDLL(None, use_errno=True)
_ABSOLUTE = 1
"""TFD_TIMER_ABSTIME of timerfd_create(2)."""


class _Setting(ctypes.Structure):
    """`struct itimerspec`."""

    _fields_ = [(name, ctypes.c_long) for name in ("interval", "interval_ns", "value", "value_ns")]


@contextmanager
def _alarm(ring: Callable[[], None]) -> Iterator[Callable[[float], None]]:
    """Give a function that has `ring` called at a moment on the clock of `time.perf_counter`.

    The timers of event loops count whole milliseconds, which is what an answer takes; those of Linux are exact.
    """
    descriptor = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    setting = _Setting()

    def wake_at(moment: float) -> None:
        seconds = int(moment)
        setting.value, setting.value_ns = seconds, int((moment - seconds) * 1e9)
        _LIBC.timerfd_settime(descriptor, _ABSOLUTE, ctypes.byref(setting), None)

    def woken() -> None:
        os.read(descriptor, 8)
        ring()

    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, woken)
    try:
        yield wake_at
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)

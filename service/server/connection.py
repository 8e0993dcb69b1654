"""Hypercorn's connection, bounded on both sides, with a timer where it has a task for each idle moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import MAX_RECV, TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.events import Closed, RawData

CLOSE_SECONDS = 2
"""How long a connection that is closed waits for its client to take what is left of the answer."""


class IdleTimers:
    """The timers of all connections of a server that are idle; when it stops they all end at once."""

    def __init__(self) -> None:
        self._running: set[IdleTimer] = set()
        self._watching: asyncio.Task[None] | None = None

    def add(self, timer: IdleTimer, context: WorkerContext) -> None:
        """Take a timer that runs."""
        self._running.add(timer)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(context))

    def discard(self, timer: IdleTimer) -> None:
        """Forget a timer that has ended, or was stopped."""
        self._running.discard(timer)

    async def _watch(self, context: WorkerContext) -> None:
        await context.terminated.wait()
        for timer in tuple(self._running):
            timer.end()


class IdleTimer:
    """Closes a connection that has been idle for too long. It has the interface of Hypercorn's idle task."""

    def __init__(self, connection: BoundedConnection, timers: IdleTimers) -> None:
        self._connection = connection
        self._timers = timers
        self._handle: asyncio.TimerHandle | None = None
        self._task_group: TaskGroup | None = None

    async def restart(self, task_group: TaskGroup, _action: Callable[..., Any]) -> None:
        """Begin anew."""
        self._cancel()
        self._task_group = task_group
        self._handle = asyncio.get_running_loop().call_later(self._connection.config.keep_alive_timeout, self.end)
        if self._connection.context.terminated.is_set():
            self.end()
        else:
            self._timers.add(self, self._connection.context)

    async def stop(self) -> None:
        """Let the connection be: it is busy, or has ended."""
        self._cancel()

    def end(self) -> None:
        """Close the connection, if it is idle still."""
        if self._cancel() and self._task_group is not None:
            self._task_group.spawn(self._connection.close_idle)

    def _cancel(self) -> bool:
        """Stop; tell whether it was running."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.cancel()
            self._timers.discard(self)
        return handle is not None


class BoundedConnection(TCPServer):
    """A connection that ends when one of its two sides does.

    Hypercorn keeps one that its client has closed until the keep-alive time is over, and waits for ever for a client
    that has stopped reading.
    """

    timers: ClassVar[IdleTimers]  # of all that are served by one event loop
    _reading: asyncio.Timeout | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.idle_task: Any = IdleTimer(self, self.timers)

    async def close_idle(self) -> None:
        """Close a connection on which nothing is under way."""
        await self.protocol.handle(Closed())
        await self._close()

    async def run(self) -> None:
        """Serve the connection until it ends."""
        if not self.writer.transport.is_closing():  # else there is no address to ask for any more
            with suppress(asyncio.CancelledError):  # the time to stop is over
                await super().run()

    async def _read_data(self) -> None:
        data = None
        try:
            async with asyncio.timeout(None) as self._reading:
                while data != b"":
                    data = await asyncio.wait_for(self.reader.read(MAX_RECV), self.config.read_timeout)
                    await self.protocol.handle(RawData(data))
        except (OSError, TimeoutError):  # reset, or cut by `_close`
            pass
        except asyncio.CancelledError:
            await self.protocol.handle(Closed())  # before the app is cancelled, whose answer would be a bare 500
            raise
        finally:
            self._reading = None
            await self.idle_task.stop()
        await self.protocol.handle(Closed())

    async def _close(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await super()._close()
        self.writer.transport.abort()
        if self._reading is not None and not self._reading.expired():
            self._reading.reschedule(self.loop.time())

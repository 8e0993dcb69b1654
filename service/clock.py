"""A limit of time that is moved again and again, for next to nothing."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Clock:
    """Ends what runs in its block with a `TimeoutError` when its time, in seconds, has passed.

    `asyncio.timeout` makes a timer each time it is moved. This one's timer looks, when it fires, whether the time has
    been moved meanwhile, and sleeps on: a request moves it three times and is over long before.
    """

    def __init__(self, seconds: float) -> None:
        self.rang = False
        self._ended = False
        self._seconds = seconds

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs is in one
        self._task, self._cancelling = task, task.cancelling()
        self._due = self._loop.time() + self._seconds
        self._timer = self._loop.call_at(self._due, self._look)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._ended = True
        # As asyncio.timeout does: who else has cancelled the task means it.
        if self.rang and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def set(self, seconds: float) -> None:
        """Let it ring so many seconds from now, if it has not rung yet, and its block has not ended."""
        self._due = self._loop.time() + seconds
        if self._due < self._timer.when() and not (self.rang or self._ended):
            self._timer.cancel()
            self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._look)
        else:
            self.rang = True
            self._task.cancel()

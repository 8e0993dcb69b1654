"""Batches: what is asked while the same kind of thing is being asked already goes out together, a moment later.

Of each kind two batches are under way. What arrives meanwhile waits, and goes as one batch when one of them has come
back: so a batch is as large as the load, and when there is none, nobody waits. More than two are under way when some
take too long, and there is a limit to that. A question is sent only after it was put: what somebody has written before
is seen. Nothing is known here of statements (ADR 12).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from contextvars import Context
from itertools import islice
from typing import Any

from service.errors import Unavailable

AT_ONCE = 2
"""How many batches of a kind are under way before others wait for them, if there may be as many."""
PATIENCE_SECONDS = 0.1
"""How long others wait for a batch; then the next goes beside it."""
LARGEST = 256
"""How many keys go together."""

Ask = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]
"""Answers keys, in their order."""
_Waiting = dict[Hashable, list[asyncio.Future[Any]]]


class Batches:
    """All kinds of one process. ``is_of_one_key`` tells of an error whether it may be the fault of one key of many.

    Of a kind whose batches hang ``most`` are under way at most, so that others have connections, too; who waits then is
    told so after ``wait_seconds`` at the latest.
    """

    def __init__(self, *, is_of_one_key: Callable[[Exception], bool], most: int, wait_seconds: float) -> None:
        self.is_of_one_key = is_of_one_key
        self.most = most
        self.at_once = min(AT_ONCE, most)
        self.wait_seconds = wait_seconds
        self._lines: dict[Hashable, _Line] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def load(self, kind: Hashable, key: Hashable, ask: Ask) -> Any:
        """Return what ``ask`` answers to the key, which may go to it together with others of its kind.

        An error is that of all who ask together, unless ``is_of_one_key`` says that it may be the fault of one: then
        the others are asked without it. Who is cancelled takes nobody along.

        Raises:
            Exception: what ``ask`` raised.
            Unavailable: it was cut off, or waited for too long.
        """
        if self._closed:
            raise Unavailable
        line = self._lines.get(kind)
        if line is None:
            line = self._lines[kind] = _Line(self, kind, ask)
        return await line.wait_for(key)

    async def close(self) -> None:
        """Cut off what is still under way, and whoever waits."""
        self._closed = True
        for line in tuple(self._lines.values()):
            line.dismiss()
        sending = tuple(self._sending)
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)

    def send(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a batch, in a context of its own: it is no part of the request that happens to be its first."""
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return task

    def forget(self, kind: Hashable, line: _Line) -> None:
        """Let go of a line in which nobody is; there may be another of its kind by now."""
        if self._lines.get(kind) is line:
            del self._lines[kind]


class _Line:
    """Those who wait with questions of one kind."""

    def __init__(self, batches: Batches, kind: Hashable, ask: Ask) -> None:
        self._batches = batches
        self._kind = kind
        self._ask = ask
        self._waiting: _Waiting = {}
        self._under_way: set[asyncio.Task[None]] = set()  # without those that are waited for no longer
        self._hanging = 0  # so many are those
        self._dismissal: asyncio.TimerHandle | None = None

    def wait_for(self, key: Hashable) -> asyncio.Future[Any]:
        """Stand in line with a key; those with equal ones share what is answered."""
        future = asyncio.get_running_loop().create_future()
        if not self._waiting:
            self._begin_if_there_is_room()  # and take what waits when the loop comes to it: all of this round
        self._waiting.setdefault(key, []).append(future)
        return future

    def _begin_if_there_is_room(self) -> None:
        loop, limits = asyncio.get_running_loop(), self._batches
        if len(self._under_way) + self._hanging >= limits.most:
            self._dismissal = self._dismissal or loop.call_later(limits.wait_seconds, self.dismiss)
            return
        if len(self._under_way) >= limits.at_once:
            return
        task = limits.send(self._send())
        self._under_way.add(task)
        patience = loop.call_later(PATIENCE_SECONDS, self._wait_no_longer, task)
        task.add_done_callback(lambda _: patience.cancel())
        task.add_done_callback(self._end)

    def _wait_no_longer(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._hanging += 1
        self._go_on()

    def _end(self, task: asyncio.Task[None]) -> None:
        if task in self._under_way:
            self._under_way.discard(task)
        else:
            self._hanging -= 1
        self._go_on()

    def _go_on(self) -> None:
        if self._waiting:
            self._begin_if_there_is_room()
        elif not (self._under_way or self._hanging):
            self._batches.forget(self._kind, self)

    def dismiss(self) -> None:
        """Tell all who wait that they wait in vain."""
        self._wait_anew()
        for futures in self._waiting.values():
            _tell(futures, error=Unavailable())
        self._waiting.clear()

    def _wait_anew(self) -> None:
        if self._dismissal is not None:
            self._dismissal.cancel()
            self._dismissal = None

    async def _send(self) -> None:
        batch, self._waiting = self._waiting, {}
        self._wait_anew()
        for key in tuple(islice(batch, LARGEST, None)):
            self._waiting[key] = batch.pop(key)
        for key in [key for key, futures in batch.items() if all(future.done() for future in futures)]:
            del batch[key]  # nobody waits any more
        if self._waiting:
            self._begin_if_there_is_room()
        try:
            if batch:
                await self._answer(batch)
        finally:
            for futures in batch.values():  # of what was cut off
                _tell(futures, error=Unavailable())

    async def _answer(self, batch: _Waiting) -> None:
        keys = list(batch)
        try:
            answers = await self._ask(keys)
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
            if len(keys) == 1 or not self._batches.is_of_one_key(error):
                for futures in batch.values():
                    _tell(futures, error=error)
            else:
                half = len(keys) // 2
                await self._answer({key: batch[key] for key in keys[:half]})
                await self._answer({key: batch[key] for key in keys[half:]})
        else:
            for futures, answer in zip(batch.values(), answers, strict=True):
                _tell(futures, answer)


def _tell(futures: list[asyncio.Future[Any]], answer: Any = None, *, error: Exception | None = None) -> None:
    for future in futures:
        if future.done():  # cancelled meanwhile
            continue
        if error is None:
            future.set_result(answer)
        else:
            future.set_exception(error)

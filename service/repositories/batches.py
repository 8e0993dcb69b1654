"""Batches: what is asked while the same kind of thing is being asked already goes out together, a moment later.

Of each kind two batches are under way at most. What arrives meanwhile waits, and goes as one batch when one of them has
come back: so a batch is as large as the load, and when there is none, nobody waits. A question is sent only after it
was put: what somebody has written before is seen. Nothing is known here of statements (ADR 12).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from functools import partial
from itertools import islice
from typing import Any

from service.errors import ServiceError

AT_ONCE = 2
"""How many batches of a kind are under way before others wait for them."""
PATIENCE_SECONDS = 0.1
"""How long others wait for a batch; then the next goes beside it."""
LARGEST = 256
"""How many keys go together."""

Ask = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]
"""Answers keys, in their order."""
_Waiting = dict[Hashable, list[asyncio.Future[Any]]]


class Batches:
    """All kinds of one process."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, _Line] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def load(self, kind: Hashable, key: Hashable, ask: Ask) -> Any:
        """Return what ``ask`` answers to the key, which may go to it together with others of its kind.

        An error of the service is that of all who ask together. Any other may be the fault of one key, so the others
        are asked without it. Who is cancelled takes nobody along.

        Raises:
            Exception: what ``ask`` raised.
        """
        line = self._lines.get(kind)
        if line is None:
            line = self._lines[kind] = _Line(ask, self._sending, on_empty=partial(self._lines.pop, kind, None))
        return await line.wait_for(key)

    async def close(self) -> None:
        """Cut off what is still under way; nobody waits for it any more."""
        for task in tuple(self._sending):
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)


class _Line:
    """Those who wait with questions of one kind."""

    def __init__(self, ask: Ask, sending: set[asyncio.Task[None]], *, on_empty: Callable[[], object]) -> None:
        self._ask = ask
        self._sending = sending
        self._on_empty = on_empty
        self._waiting: _Waiting = {}
        self._under_way: set[asyncio.Task[None]] = set()  # without those that are waited for no longer

    def wait_for(self, key: Hashable) -> asyncio.Future[Any]:
        """Stand in line with a key; those with equal ones share what is answered."""
        future = asyncio.get_running_loop().create_future()
        if not self._waiting and len(self._under_way) < AT_ONCE:
            self._begin()  # which takes what waits only when the loop comes to it: all that this round of it brings
        self._waiting.setdefault(key, []).append(future)
        return future

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        # A context of its own: the batch is not a part of the request that happens to be its first.
        task = loop.create_task(self._send(), context=Context())
        self._under_way.add(task)
        self._sending.add(task)
        patience = loop.call_later(PATIENCE_SECONDS, self._go_on, task)
        task.add_done_callback(lambda _: patience.cancel())
        task.add_done_callback(self._sending.discard)
        task.add_done_callback(self._go_on)

    def _go_on(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if self._waiting and len(self._under_way) < AT_ONCE:
            self._begin()
        elif not (self._waiting or self._under_way):
            self._on_empty()

    async def _send(self) -> None:
        taken = {key: self._waiting.pop(key) for key in tuple(islice(self._waiting, LARGEST))}
        batch = {key: futures for key, futures in taken.items() if not all(future.done() for future in futures)}
        if self._waiting and len(self._under_way) < AT_ONCE:
            self._begin()
        try:
            if batch:
                await self._answer(batch)
        finally:
            for futures in batch.values():  # of what was cut off
                for future in futures:
                    future.cancel()

    async def _answer(self, batch: _Waiting) -> None:
        keys = list(batch)
        try:
            answers = await self._ask(keys)
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
            if len(keys) == 1 or isinstance(error, ServiceError):
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

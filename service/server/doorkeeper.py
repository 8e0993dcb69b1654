"""Who may begin when many come at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque


class Doorkeeper:
    """Lets the first requests of connections begin one by one, so that whoever is inside is served meanwhile.

    500 requests that begin in one turn of the event loop are half a second in which nobody else is answered. So one
    begins each turn: as fast as the loop goes round, and what is under way goes on between two of them. Turns of a busy
    loop are long, hence the second rule: one for every eight milliseconds that have passed. A request is well below
    that, so newcomers take a part of such a loop, and never all of it.
    """

    SECONDS_EACH = 0.008

    def __init__(self) -> None:
        self._outside: deque[asyncio.Future[None]] = deque()
        self._looked = 0.0

    async def enter(self) -> None:
        """Wait for one's turn, first come, first served."""
        loop = asyncio.get_running_loop()
        if not self._outside:
            self._looked = time.monotonic()
            loop.call_soon(self._look)
        turn = loop.create_future()
        self._outside.append(turn)
        await turn

    def _look(self) -> None:
        now = time.monotonic()
        room = max(1, int((now - self._looked) / self.SECONDS_EACH))
        self._looked = now
        while self._outside and room:
            turn = self._outside.popleft()
            if not turn.done():  # cancelled: its connection has ended
                turn.set_result(None)
                room -= 1
        if self._outside:
            asyncio.get_running_loop().call_soon(self._look)

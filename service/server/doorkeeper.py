"""Who may begin when many come at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque


class Doorkeeper:
    """Lets requests begin one by one, in a line for each target, so that a crowd at one makes no other wait.

    500 requests that begin in one turn of the event loop are half a second in which nobody else is answered. So each
    turn the first of a line begins, of four lines if there are more: as fast as the loop goes round, and what is under
    way goes on in between. Turns of a busy loop are long, hence the second rule: one for every eight milliseconds that
    have passed. A request is well below that, so those who wait get a part of such a loop, and never all of it.
    """

    LINES_A_TURN = 4
    SECONDS_EACH = 0.008

    def __init__(self) -> None:
        self._lines: dict[bytes, deque[asyncio.Future[None]]] = {}  # in the order in which their turns come
        self._looked = 0.0
        self._looking = False  # whether somebody has begun in this turn

    async def enter(self, line: bytes) -> None:
        """Wait for one's turn in the line of this name, first come, first served."""
        loop = asyncio.get_running_loop()
        if not self._looking:
            self._looking = True
            self._looked = time.monotonic()
            loop.call_soon(self._look)
            return
        turn = loop.create_future()
        self._lines.setdefault(line, deque()).append(turn)
        await turn

    def _look(self) -> None:
        now = time.monotonic()
        room = max(min(len(self._lines), self.LINES_A_TURN), int((now - self._looked) / self.SECONDS_EACH))
        self._looked = now
        self._looking = bool(self._lines)
        while self._lines and room:
            name, line = next(iter(self._lines.items()))
            turn = line.popleft()
            del self._lines[name]
            if line:
                self._lines[name] = line
            if not turn.done():  # cancelled: its connection has ended
                turn.set_result(None)
                room -= 1
        if self._looking:
            asyncio.get_running_loop().call_soon(self._look)

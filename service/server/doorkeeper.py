"""Who may begin when many come at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from itertools import islice


class Doorkeeper:
    """Lets requests begin one by one, in a line for each target, so that a crowd at one makes no other wait.

    500 requests that begin in one turn of the event loop can be half a second in which nobody else is answered. So each
    turn the first of a line begins, of four lines if there are more, and what is under way goes on in between. More
    begin where that is little work: as many as take a millisecond, or a sixteenth of a turn that was longer, by what
    those before them took. So those who wait get a part of the loop, and never all of it.

    ``seconds_apart`` names lines whose requests are dear, and how far apart they begin: the loop rests in between. The
    longer such a line, the less: for each 500 that wait as much again; and not while the loop is busy, of which a long
    turn lets one in for every eight milliseconds.
    """

    LINES_A_TURN = 4
    CROWD = 500
    SECONDS_EACH = 0.008
    TURN_SECONDS = 0.001
    PART = 16
    MEMORY = 8
    """A turn says an eighth of what a request takes; those before it the rest."""

    def __init__(self, seconds_apart: Mapping[bytes, float] | None = None) -> None:
        self._seconds_apart = seconds_apart or {}
        self._lines: dict[bytes, deque[asyncio.Future[None]]] = {}  # in the order in which their turns come
        self._closed_until: dict[bytes, float] = {}  # lines in which somebody has begun lately
        self.begun = 0
        """So many requests have begun, those that had not to stand in line as well."""
        self._seconds = self.SECONDS_EACH / self.PART  # what a request takes, and no more than that
        self._looked, self._begun_then = 0.0, 0
        self._looking = False  # whether somebody has begun in this turn, or is to in the next
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, line: bytes) -> None:
        """Wait for one's turn in the line of this name, first come, first served."""
        if not self._looking:
            now = time.monotonic()
            self._look_soon(now)
            if line not in self._lines and self._closed_until.get(line, 0) <= now:
                self._close(line, now)
                self.begun += 1
                return
        turn = asyncio.get_running_loop().create_future()
        self._lines.setdefault(line, deque()).append(turn)
        await turn

    def _look_soon(self, now: float) -> None:
        self._looking = True
        self._looked, self._begun_then = now, self.begun
        asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        now = time.monotonic()
        turn = now - self._looked
        due = int(turn / self.SECONDS_EACH)
        self._looking = False
        self._closed_until = {line: until for line, until in self._closed_until.items() if until > now}
        open_lines = (line for line in self._lines if due or line not in self._closed_until)
        lines = deque(islice(open_lines, max(self.LINES_A_TURN, due)))
        room = max(len(lines), due, self._fit_into(turn))
        while lines and room:
            name = lines.popleft()
            room -= self._let_in(name, now)
            if name in self._lines and (due or name not in self._closed_until):
                lines.append(name)
        if any(due or line not in self._closed_until for line in self._lines):
            self._look_soon(now)
        elif self._lines:
            self._look_later(min(self._closed_until.values()) - now)

    def _fit_into(self, turn: float) -> int:
        """Learn what requests take from a turn that took so long, and return how many take their part of such a one."""
        if begun := self.begun - self._begun_then:
            self._seconds += (turn / begun - self._seconds) / self.MEMORY
            self._seconds = min(self._seconds, self.SECONDS_EACH / self.PART)
        return int(max(self.TURN_SECONDS, turn / self.PART) / self._seconds)

    def _look_later(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        if not self._looking:
            self._look_soon(time.monotonic())

    def _let_in(self, name: bytes, now: float) -> int:
        """Let the first of a line in, and put the line at the end of all; tell how many there were to be let in."""
        line = self._lines.pop(name)
        turn = line.popleft()
        if line:
            self._lines[name] = line
        if turn.done():  # cancelled: its connection has ended
            return 0
        turn.set_result(None)
        self.begun += 1
        self._close(name, now)
        return 1

    def _close(self, line: bytes, now: float) -> None:
        if seconds := self._seconds_apart.get(line):
            waiting = len(self._lines.get(line, ()))
            self._closed_until[line] = now + seconds / (1 + waiting // self.CROWD)

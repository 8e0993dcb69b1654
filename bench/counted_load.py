"""A closed loop of so many requests, where `bench.load` has one of so many seconds."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from bench.load import SWEEP_SECONDS, Connection, Load, Outcome
from bench.works import Work

GIVE_UP_SECONDS = 30
"""Without an answer for so long there will be none: each request has timed out several times by then."""


class CountedLoad(Load):
    """Connections over which so many requests go out, each as soon as the one before is answered."""

    def __init__(self, port: int, work: Work) -> None:
        super().__init__(port, work)
        self._left = 0
        self._all_asked = asyncio.Event()

    async def ask(self, count: int) -> Outcome:
        """Ask so often, over all connections together, and wait for what is under way then.

        Raises:
            SystemExit: there are no answers any more.
        """
        self.outcome, self._left = Outcome(), count
        began, began_process = time.perf_counter(), time.process_time()
        self._all_asked.clear()
        self.going = True
        for connection in self._connections:
            self.ready(connection)
        while self.going:
            with suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._all_asked.wait()
            self._sweep()
            if time.perf_counter() - max(began, self.answered_at) > GIVE_UP_SECONDS:
                raise SystemExit(f"bench: no answer for {GIVE_UP_SECONDS} s; {dict(self.outcome.faults)}")
        return await self._finish(began, began_process)

    def ready(self, connection: Connection) -> None:
        """Have a connection that has nothing under way go on while something is left to be asked, or rest."""
        if self.going and connection.is_open:
            self._left -= 1
            if not self._left:
                self.going = False
                self._all_asked.set()
            connection.ask()
        else:
            super().ready(connection)

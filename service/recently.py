"""What was found out a moment ago, for whoever asks again."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable


class Recently:
    """The outcome of a check, which holds for some seconds; it is made for one caller at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._checking = asyncio.Lock()
        self._holds_until = -math.inf
        self._fault: Exception | None = None

    async def ask(self, check: Callable[[], Awaitable[None]]) -> None:
        """Return if the check, which is always the same, went well.

        Raises:
            Exception: what the check raised.
        """
        async with self._checking:
            if time.monotonic() >= self._holds_until:
                self._fault = None
                try:
                    await check()
                except Exception as error:  # noqa: BLE001 - raised below, and to who asks again
                    self._fault = error
                self._holds_until = time.monotonic() + self._seconds
        if self._fault is not None:
            raise self._fault

"""Password hashes: argon2id in a pool of threads of its own, so that the event loop and other threads stay free.

A hash takes about 20 ms of a core and 19 MiB, and the library releases the GIL. As many run at once as there are
threads; a bounded number may wait, for a bounded time, and whoever comes after is refused at once.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import Argon2Error

from service.errors import Unavailable

T = TypeVar("T")


class PasswordHasher:
    """Makes and checks hashes.

    The parameters are those that OWASP names for argon2id (Password Storage Cheat Sheet): m=19456 KiB, t=2, p=1.
    """

    def __init__(self, *, threads: int, queue: int, wait_seconds: float) -> None:
        self._argon2 = Argon2(time_cost=2, memory_cost=19_456, parallelism=1)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._free = asyncio.Semaphore(threads)
        self._queue = queue
        self._waiting = 0
        self._wait_seconds = wait_seconds
        self._nobodys_hash = self._argon2.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """Return a new hash.

        Raises:
            Unavailable: too many are waiting, or this one waited too long.
        """
        return await self._run(lambda: self._argon2.hash(password))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Tell whether the password belongs to the hash; for ``None``, an unknown user, it is no at the same cost.

        Raises:
            Unavailable: as for `hash`.
        """
        return await self._run(lambda: self._matches(password, password_hash or self._nobodys_hash))

    def close(self) -> None:
        """Let the threads end; what waits for one is dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _matches(self, password: str, password_hash: str) -> bool:
        try:
            return self._argon2.verify(password_hash, password)
        except (Argon2Error, ValueError):  # a stored hash may be anything
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        await self._take_a_thread()
        future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        # Not before the work is done: a caller that was cancelled has not stopped its thread.
        future.add_done_callback(lambda _: self._free.release())
        return await asyncio.shield(future)

    async def _take_a_thread(self) -> None:
        if self._free.locked() and self._waiting >= self._queue:
            raise Unavailable("Too many passwords are being checked")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._free.acquire()
        except TimeoutError as error:
            raise Unavailable("Too many passwords are being checked") from error
        finally:
            self._waiting -= 1

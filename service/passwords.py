"""Password hashes: argon2id in a pool of threads of its own, so that the event loop and other threads stay free.

A hash takes about 20 ms of a core and 19 MiB, and the library releases the GIL. As many run at once as there are
threads; a bounded number may wait, for a bounded time, and whoever comes after is refused at once.
"""

from __future__ import annotations

import asyncio
import math
import os
import secrets
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from weakref import WeakSet

from argon2 import PasswordHasher as Argon2
from argon2 import extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError, VerifyMismatchError

from service import metrics
from service.config import DEAREST_HASH_COST_KIB
from service.errors import Unavailable

T = TypeVar("T")

DEAREST_MEMORY_KIB = 2**18
"""Of a stored hash that is checked at all; what it may cost beside that, the settings know."""
MOST_LANES = 16
"""The library starts a thread for each."""
LATEST_TURN_SECONDS = 30
"""Longer than that nobody is sent away."""
SECONDS_A_KIB = 5e-7
"""What a hash takes for a pass over so much memory, as long as none has been made."""
LONGEST_HASH = 512
"""Characters."""
NICENESS = 10
"""Of a hashing thread: a tenth of what others in its scheduling group get of a core that both want."""


class PasswordHasher:
    """Makes and checks hashes; ``passes`` and ``memory_kib`` are argon2id's t and m."""

    def __init__(self, *, passes: int, memory_kib: int, threads: int, queue: int, wait_seconds: float) -> None:
        self._argon2 = Argon2(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="argon2", initializer=_let_others_go_first)
        self._places = asyncio.Semaphore(threads)
        self._queue = queue
        self._waiting = 0
        self._wait_seconds = wait_seconds
        self._nobodys_hash = _hash_of_nothing(passes=passes, memory_kib=memory_kib)
        self._threads = threads
        self._have_hashed = WeakSet[Any]()  # tasks
        self._turns = _Turns(passes * memory_kib * SECONDS_A_KIB / threads)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, to be held around all that belongs to checking or setting a password.

        Few enough have one to leave the database to others.

        Raises:
            Unavailable: too many are waiting, or this one waited too long.
        """
        if self._places.locked() and self._waiting >= self._queue:
            raise self._refusal()
        self._waiting += 1
        try:
            with metrics.waiting_to_hash.track_inprogress():
                async with asyncio.timeout(self._wait_seconds):
                    await self._places.acquire()
        except TimeoutError as error:
            raise self._refusal() from error
        finally:
            self._waiting -= 1
        began = time.monotonic()
        try:
            with metrics.hashing.track_inprogress():
                yield
        finally:
            self._places.release()
            if asyncio.current_task() in self._have_hashed:  # else it was refused in its place
                self._have_hashed.discard(asyncio.current_task())
                self._turns.learn((time.monotonic() - began) / self._threads)

    async def hash(self, password: str) -> str:
        """Return a new hash."""
        return await self._run(lambda: self._argon2.hash(password))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Tell whether the password belongs to the hash.

        For ``None``, an unknown user, and for a hash that is none, it is no at the same cost.
        """
        return await self._run(lambda: self._matches(password, password_hash))

    def is_outdated(self, password_hash: str) -> bool:
        """Tell whether the hash was made with other parameters than those in use."""
        return self._argon2.check_needs_rehash(password_hash)

    def close(self) -> None:
        """Let the threads end; what waits for one is dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _matches(self, password: str, password_hash: str | None) -> bool:
        if password_hash is not None and _is_affordable(password_hash):
            try:
                return self._argon2.verify(password_hash, password)
            except VerifyMismatchError:
                return False
            except (Argon2Error, ValueError):  # a stored hash may be anything
                pass
        with suppress(VerifyMismatchError):
            self._argon2.verify(self._nobodys_hash, password)
        return False

    async def _run(self, work: Callable[[], T]) -> T:
        self._have_hashed.add(asyncio.current_task())
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _refusal(self) -> Unavailable:
        return Unavailable("Too many passwords are being checked", retry_after_seconds=self._turns.give())


class _Turns:
    """Tells those who are refused when to come again: one after the other, not all at the same moment."""

    def __init__(self, seconds_each: float) -> None:
        self._seconds_each = seconds_each
        self._last = 0.0

    def learn(self, seconds: float) -> None:
        """Take note of how long one took, since in a storm it is longer than at start."""
        self._seconds_each += (seconds - self._seconds_each) / 16

    def give(self) -> int:
        """Return in how many seconds the next one's turn is."""
        now = time.monotonic()
        self._last = min(max(self._last, now) + self._seconds_each, now + LATEST_TURN_SECONDS)
        return math.ceil(self._last - now)


def _hash_of_nothing(*, passes: int, memory_kib: int) -> str:
    """Return a hash that costs as much to check as any other, and belongs to no password: all of it is chance.

    To make a real one would take a thread's memory, 19 MiB, from processes that are never asked for a password.
    """
    salt, digest = (b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={memory_kib},t={passes},p=1${salt}${digest}"


def _is_affordable(password_hash: str) -> bool:
    """Tell whether a stored hash is one, and no trap: what it costs to check is written in it."""
    try:
        parameters = extract_parameters(password_hash[:LONGEST_HASH])
    except InvalidHashError:
        return False
    memory, cost = parameters.memory_cost, parameters.memory_cost * parameters.time_cost
    affordable = memory <= DEAREST_MEMORY_KIB and cost <= DEAREST_HASH_COST_KIB and parameters.parallelism <= MOST_LANES
    return affordable and len(password_hash) <= LONGEST_HASH


def _let_others_go_first() -> None:
    """Make this thread nice: on Linux that is a matter of each thread, elsewhere of the process, which stays as it is.

    So the event loop and the database, if it is on the same machine, need not wait for a hash to give up its core.
    """
    if sys.platform == "linux":
        os.nice(NICENESS)

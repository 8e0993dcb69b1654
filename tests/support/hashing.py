"""What the argon2 library is asked to do meanwhile."""

from __future__ import annotations

import asyncio
import threading

import argon2
import pytest
from argon2.exceptions import VerifyMismatchError


class Hashing:
    """Sees each check of a password, in the threads where it runs, and can hold all of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        """The hashes that the library was given."""
        self.run: list[str] = []
        """Those of them that it took the time to compute: malformed ones it refuses at once."""
        self.made = 0
        """New hashes."""
        self._free = threading.Event()
        self._free.set()
        verify, make = argon2.PasswordHasher.verify, argon2.PasswordHasher.hash

        def seen_verify(hasher: argon2.PasswordHasher, password_hash: str, password: str) -> bool:
            self.asked.append(password_hash)
            self._free.wait(5)
            try:
                verify(hasher, password_hash, password)
            except VerifyMismatchError:
                self.run.append(password_hash)
                raise
            self.run.append(password_hash)
            return True

        def seen_make(hasher: argon2.PasswordHasher, password: str) -> str:
            self.made += 1
            return make(hasher, password)

        monkeypatch.setattr(argon2.PasswordHasher, "verify", seen_verify)
        monkeypatch.setattr(argon2.PasswordHasher, "hash", seen_make)

    def hold(self) -> None:
        """Let checks begin and not end."""
        self._free.clear()

    def go_on(self) -> None:
        self._free.set()

    def step(self) -> None:
        """Let those go on that have begun, and hold whoever comes after."""
        self._free.set()
        self._free.clear()

    async def until_asked(self, count: int) -> None:
        """Wait until so many checks have begun."""
        async with asyncio.timeout(5):
            while len(self.asked) < count:  # noqa: ASYNC110 - another thread is waited for
                await asyncio.sleep(0.002)

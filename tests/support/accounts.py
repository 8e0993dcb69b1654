"""Builds accounts as a test needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import argon2
import asyncpg
import httpx

PASSWORD = "correct horse battery"
# As cheap as argon2 goes: what a hash costs is not what these tests are about.
SALT = b"sixteen bytes, 1"  # as long as the service's own: a hash with another would be renewed at login
PASSWORD_HASH = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD, salt=SALT)


@dataclass(frozen=True)
class Account:
    """One account and, once it logged in, its tokens."""

    id: int
    username: str
    email: str
    access_token: str = ""
    refresh_token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}

    @property
    def refresh_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.refresh_token}"}


class Accounts:
    """Accounts in the database, by SQL as an operator may write it."""

    def __init__(self, client: httpx.AsyncClient, database: asyncpg.Connection) -> None:
        self._client = client
        self._database = database

    async def add(self, username: str = "ann", *, role: str = "user", is_active: bool = True) -> Account:
        """An account whose email is `<username>@example.com` and whose password is PASSWORD."""
        email = f"{username}@example.com"
        user_id = await self._database.fetchval(
            "INSERT INTO users (username, email, password_hash, role, is_active)"
            " VALUES ($1, $2, $3, $4, $5) RETURNING id",
            username,
            email,
            PASSWORD_HASH,
            role,
            is_active,
        )
        return Account(user_id, username, email)

    async def signed_in(self, username: str = "ann", *, role: str = "user") -> Account:
        """An account with a session."""
        return await self.log_in(await self.add(username, role=role))

    async def log_in(self, account: Account) -> Account:
        """The account with tokens of a new session."""
        answer = await self._client.post("/api/auth/login", json={"email": account.email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return Account(account.id, account.username, account.email, tokens["access_token"], tokens["refresh_token"])
